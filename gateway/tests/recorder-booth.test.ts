import { beforeEach, describe, expect, it } from 'vitest';
import { Booth, type Desk, type Ear, type Line } from '#lib/recorder-booth.svelte.ts';
import type { Listener } from '#lib/recorder.ts';
import { Trouble } from '#lib/trouble.ts';

const RATE = 16_000;
const LINES: Line[] = ['one two three', 'four five', 'six', 'seven eight'].map((text, at) => ({
	id: `neutral-${at}`,
	text,
	emotion: 'neutral',
}));

/** The edge of the machine: a microphone that hears what the test says. */
class TestEar implements Ear {
	readonly name = 'Test microphone';
	readonly id = 'test';
	readonly rate = RATE;
	open = true;
	onlost: () => void = () => {};
	listener: Listener | null = null;
	size = 1;

	listen(listener: Listener) {
		this.listener = listener;
		return () => {
			if (this.listener === listener) this.listener = null;
		};
	}

	record() {
		return { stop: () => Promise.resolve(new Blob(['x'.repeat(this.size)])) };
	}

	close() {
		this.open = false;
	}

	hear(seconds: number, level: number) {
		const block = new Float32Array(RATE / 20).fill(10 ** (level / 20));
		for (let at = 0; at < Math.round(seconds * 20); at++) this.listener?.(block);
	}
}

class TestDesk implements Desk {
	ear = new TestEar();
	/** As the twin does: what was read does not come again. */
	lines = (skip: string[]) => {
		const read = this.sent.map(({ id }) => id);
		const left = LINES.filter(({ id }) => !skip.includes(id) && !read.includes(id));
		return Promise.resolve(left.slice(0, 2));
	};
	sent: Line[] = [];
	/** Ids of the takes that are there, as the twin has them. */
	there: string[] = [];
	fails: Trouble | null = null;

	open(onlost: () => void) {
		this.ear = new TestEar();
		this.ear.onlost = onlost;
		return Promise.resolve(this.ear);
	}

	send(sound: Blob, line: Line, replaces: string) {
		if (this.fails) return Promise.reject(this.fails);
		this.sent.push(line);
		const id = `take-${this.sent.length}`;
		this.there = [...this.there.filter((other) => other !== replaces), id];
		return Promise.resolve({
			id,
			grade: 'A',
			reasons: [],
			seconds: sound.size,
		});
	}
}

/** Lets all that is promised come true. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

let desk: TestDesk;
let booth: Booth;

/** Reads the sentence, until the booth takes it for read. */
async function read(level = -25) {
	booth.start();
	desk.ear.hear(1.5, level);
	desk.ear.hear(1.5, -70);
	await settle();
}

beforeEach(async () => {
	desk = new TestDesk();
	booth = new Booth(desk);
	await booth.open();
	desk.ear.hear(2, -70);
});

describe('a sitting (V1)', () => {
	it('hears the room first, then is ready with the first sentence', () => {
		expect(booth.phase).toBe('ready');
		expect(booth.noise).toBeCloseTo(-70, 1);
		expect(booth.line).toEqual(LINES[0]);
		expect(booth.advice).toEqual([]);
	});

	it('stops by itself, and asks what becomes of the take', async () => {
		await read();
		expect(booth.phase).toBe('review');
		expect(booth.draft?.advice).toEqual([]);
		expect(booth.draft?.seconds).toBeCloseTo(2.7, 1);
		expect(booth.unsafe).toBe(1);
	});

	it('sends what is kept while the next sentence is there to read', async () => {
		await read();
		await booth.keep();
		expect(booth.line).toEqual(LINES[1]);
		await booth.sent();
		expect(booth.takes.map(({ state, verdict }) => [state, verdict?.grade])).toEqual([
			['kept', 'A'],
		]);
		expect(desk.sent).toEqual([LINES[0]]);
		expect(booth.takes[0]!.sound).toBeNull();
		expect(booth.unsafe).toBe(0);
	});

	it('one key leads through all sentences, to the end', async () => {
		for (const line of LINES) {
			expect(booth.line).toEqual(line);
			booth.next();
			desk.ear.hear(1, -25);
			booth.next();
			await settle();
			booth.next();
			await settle();
		}
		expect(booth.finished).toBe(true);
		expect(booth.line).toBeNull();
		expect(desk.sent).toEqual(LINES);
		booth.next();
		expect(booth.phase).toBe('ready');
	});

	it('goes on by itself with what is heard well, and stops at what is not', async () => {
		booth.flowing = true;
		await read();
		expect([booth.phase, booth.line]).toEqual(['recording', LINES[1]]);
		desk.ear.hear(1.5, -55);
		desk.ear.hear(1.5, -70);
		await settle();
		expect(booth.phase).toBe('review');
		expect(booth.draft?.advice).toEqual([expect.stringContaining('Quiet')]);
	});

	it('reads all of them again when the twin asks for it', async () => {
		const lines = desk.lines;
		desk.lines = async (skip) => {
			if (desk.sent.length === LINES.length) desk.sent = [];
			return await lines(skip);
		};
		for (let at = 0; at < LINES.length; at++) {
			await read();
			await booth.keep();
		}
		expect([booth.finished, booth.line]).toEqual([false, LINES[0]]);
	});

	it('offers what nobody heard to be read again, and keeps it when that is wanted', async () => {
		booth.start();
		desk.ear.hear(12, -69);
		await settle();
		expect([booth.phase, booth.draft?.heard]).toEqual(['review', false]);
		booth.next();
		await settle();
		expect(booth.phase).toBe('recording');
		desk.ear.hear(12, -69);
		await settle();
		await booth.keep();
		await booth.sent();
		expect(desk.sent).toEqual([LINES[0]]);
	});

	it('skips a sentence, and does not come back to it', async () => {
		await booth.skip();
		for (let at = 1; at < LINES.length; at++) {
			expect(booth.line).toEqual(LINES[at]);
			await read();
			await booth.keep();
		}
		expect(booth.finished).toBe(true);
	});
});

describe('another emotion', () => {
	it('has its own sentences, and leaves the takes', async () => {
		await read();
		await booth.keep();
		desk.lines = () => Promise.resolve([{ id: 'whispered-1', text: 'hush', emotion: 'whispered' }]);
		await booth.change();
		expect([booth.phase, booth.line?.id, booth.takes.length]).toEqual(['ready', 'whispered-1', 1]);
	});

	it('throws away what is being read', async () => {
		booth.start();
		await booth.change();
		expect([booth.phase, booth.draft, desk.ear.listener === null]).toEqual(['ready', null, false]);
	});
});

describe('a retake', () => {
	it('throws away what was just read', async () => {
		await read();
		await booth.retake();
		expect([booth.phase, booth.line, booth.draft]).toEqual(['recording', LINES[0], null]);
		expect(booth.takes).toEqual([]);
	});

	it('of a kept take deletes that one only once the new one is safe', async () => {
		await read();
		await booth.keep();
		await booth.sent();
		booth.readAgain(booth.takes[0]!);
		expect(booth.line).toEqual(LINES[0]);
		await read();
		desk.fails = new Trouble('The disk is full', 'Free some.');
		await booth.keep();
		await booth.sent();
		expect(desk.there).toEqual(['take-1']);
		desk.fails = null;
		booth.send(booth.takes[0]!);
		await booth.sent();
		expect(desk.there).toEqual(['take-2']);
		expect(booth.takes.length).toBe(1);
		expect(booth.line).toEqual(LINES[1]);
	});
});

describe('trouble', () => {
	it('keeps a take that could not be sent, to be sent again', async () => {
		desk.fails = new Trouble('The disk is full', 'Free some.');
		await read();
		await booth.keep();
		await booth.sent();
		expect(booth.takes[0]!).toMatchObject({
			state: 'failed',
			trouble: { title: 'The disk is full' },
		});
		expect(booth.unsafe).toBe(1);
		desk.fails = null;
		booth.send(booth.takes[0]!);
		await booth.sent();
		expect(booth.takes[0]!.state).toBe('kept');
	});

	it('a microphone that is pulled out leaves what was said', async () => {
		booth.start();
		desk.ear.hear(1.5, -25);
		desk.ear.onlost();
		await settle();
		expect(booth.phase).toBe('review');
		expect(booth.trouble?.title).toBe('The microphone is gone');
		await booth.keep();
		await booth.sent();
		expect([booth.phase, booth.takes[0]!.state]).toEqual(['closed', 'kept']);
		await booth.open();
		desk.ear.hear(2, -70);
		expect([booth.phase, booth.line]).toEqual(['ready', LINES[1]]);
	});

	it('a dead microphone gives no take', async () => {
		booth.start();
		const silence = new Float32Array(RATE);
		for (let at = 0; at < 11; at++) desk.ear.listener?.(silence);
		await settle();
		expect(booth.phase).toBe('ready');
		expect(booth.advice).toEqual([expect.stringContaining('muted')]);
	});

	it('sentences that cannot be had are told, and asked for again', async () => {
		const lines = desk.lines;
		desk.lines = () => Promise.reject(new Trouble('The gateway does not answer', 'Start it.'));
		for (let at = 0; at < LINES.length; at++) await booth.skip();
		expect(booth.line).toBeNull();
		expect(booth.finished).toBe(false);
		expect(booth.trouble?.title).toBe('The gateway does not answer');
		const more = { id: 'neutral-9', text: 'nine', emotion: 'neutral' };
		desk.lines = () => lines([]).then(() => [more]);
		await booth.open();
		expect(booth.line).toEqual(more);
	});

	it('closes the microphone of one who leaves while it opens', async () => {
		const other = new Booth(desk);
		const opening = other.open();
		other.close();
		await opening;
		expect([other.phase, other.ear, desk.ear.open]).toEqual(['closed', null, false]);
	});
});

describe('a room that may not be as it was heard', () => {
	beforeEach(() => {
		booth.hearRoom();
		desk.ear.hear(2, -26);
	});

	it('is heard again by the one key, and believed once it is quiet', () => {
		expect([booth.phase, booth.doubtful]).toEqual(['ready', true]);
		booth.next();
		expect(booth.phase).toBe('room');
		desk.ear.hear(2, -70);
		expect([booth.phase, booth.doubtful, booth.advice]).toEqual(['ready', false, []]);
	});

	it('hides no speech when its reader goes on', async () => {
		booth.trust();
		booth.next();
		expect(booth.phase).toBe('recording');
		desk.ear.hear(1.5, -25);
		desk.ear.hear(1.5, -70);
		await settle();
		expect(booth.draft?.heard).toBe(true);
	});
});

it('what waits for its reader waits still after the room is heard again', async () => {
	await read();
	booth.hearRoom();
	desk.ear.hear(2, -70);
	expect([booth.phase, booth.draft?.heard]).toEqual(['review', true]);
});

it('hears nothing while nobody is there, and what was read stays', async () => {
	booth.flowing = true;
	booth.start();
	desk.ear.hear(1.5, -25);
	const { ear } = desk;
	await booth.rest();
	expect([ear.open, booth.phase, booth.draft?.heard]).toEqual([false, 'review', true]);
	expect(ear.listener).toBeNull();
	await booth.keep();
	expect(booth.phase).toBe('closed');
	await booth.open();
	expect(booth.phase).toBe('room');
});

it('holds the peak for a second, then lets it fall', () => {
	desk.ear.hear(0.05, -6);
	desk.ear.hear(0.9, -50);
	expect(booth.held).toBeCloseTo(-6, 1);
	desk.ear.hear(0.5, -50);
	expect(booth.held).toBeLessThan(-12);
	expect(booth.held).toBeGreaterThan(-50);
	desk.ear.hear(5, -50);
	expect(booth.held).toBeCloseTo(-50, 1);
});
