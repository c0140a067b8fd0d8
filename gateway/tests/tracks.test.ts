/** Speech as it comes: scheduled without gaps, whatever the network does (S3). */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { session } from '../src/lib/session.svelte.ts';
import { FileTrack, LiveTrack } from '../src/lib/tracks.svelte.ts';

const RATE = 22_050;

/** The browser's sound: it plays nothing, and tells what it was to play and when. */
class Machine {
	now = 0.01;
	started: { at: number; from: number; seconds: number }[] = [];
	playing = 0;
	frames: (() => void)[] = [];
	sources: { onended: () => void }[] = [];

	/** Lets time go by. */
	pass(seconds: number) {
		this.now += seconds;
		for (const frame of this.frames.splice(0)) frame();
	}
}

let machine: Machine;
const made: LiveTrack[] = [];

beforeEach(() => {
	machine = new Machine();
	vi.stubGlobal('requestAnimationFrame', (run: () => void) => machine.frames.push(run));
	vi.stubGlobal('cancelAnimationFrame', () => (machine.frames = []));
	vi.stubGlobal(
		'AudioContext',
		class {
			destination = {};
			get currentTime() {
				return machine.now;
			}
			createBuffer = (_: number, length: number, rate: number) => ({
				duration: length / rate,
				copyToChannel() {},
			});
			createBufferSource() {
				const source = {
					buffer: { duration: 0 },
					onended: () => {},
					connect() {},
					start(at: number, from: number) {
						machine.playing++;
						machine.started.push({ at, from, seconds: source.buffer.duration - from });
					},
					stop: () => machine.playing--,
				};
				machine.sources.push(source);
				return source;
			}
			resume = () => Promise.resolve();
			suspend = () => Promise.resolve();
		},
	);
});
afterEach(() => {
	for (const each of made.splice(0)) each.close();
	vi.unstubAllGlobals();
});

const HEAD = Uint8Array.from([
	...new TextEncoder().encode('RIFF----WAVEfmt '),
	...new Uint8Array(Uint32Array.of(16).buffer),
	...new Uint8Array(Uint16Array.of(1, 1).buffer),
	...new Uint8Array(Uint32Array.of(RATE, 2 * RATE).buffer),
	...new Uint8Array(Uint16Array.of(2, 16).buffer),
	...new TextEncoder().encode('data----'),
]);
const sound = (seconds: number) => new Uint8Array(2 * RATE * seconds);

function track(...seconds: number[]): LiveTrack {
	const live = new LiveTrack();
	made.push(live);
	live.push(HEAD);
	for (const each of seconds) live.push(sound(each));
	return live;
}

test('what comes in time follows without a gap', () => {
	track(1, 2);
	const [first, second] = machine.started;
	expect(second!.at).toBeCloseTo(first!.at + 1, 6);
});

test('what comes too late is heard whole, and waiting is told', () => {
	const live = track(1);
	machine.pass(3);
	expect(live.position).toBe(1);
	expect(live.waiting).toBe(true);
	live.push(sound(1));
	const late = machine.started[1]!;
	expect(late.at).toBeGreaterThan(3);
	expect(late).toMatchObject({ from: 0, seconds: 1 });
	machine.pass(0.5);
	expect(live.waiting).toBe(false);
	expect(live.position).toBeGreaterThan(1);
	expect(live.position).toBeLessThan(1.5);
});

test('it ends when all has come and is heard, and can be heard again', () => {
	const live = track(1);
	live.end();
	expect(live.playing).toBe(true);
	machine.pass(2);
	expect(live.playing).toBe(false);
	live.play();
	expect(live.position).toBe(0);
	expect(machine.started.at(-1)).toMatchObject({ from: 0, seconds: 1 });
});

test('it goes on where it was stopped, and from where it is sent', () => {
	const live = track(2, 2);
	machine.pass(1.15);
	live.pause();
	const at = live.position;
	expect(at).toBeCloseTo(1, 1);
	expect(machine.playing).toBe(0);
	live.push(sound(1));
	expect(machine.playing).toBe(0);
	machine.pass(10);
	live.play();
	expect(machine.started.at(-3)!.from).toBeCloseTo(at, 6);
	live.seek(3);
	expect(machine.playing).toBe(2);
	expect(machine.started.at(-2)!.from).toBeCloseTo(1, 6);
});

test('one is heard at a time', () => {
	const first = track(5);
	const second = track(5);
	expect([first.playing, second.playing]).toEqual([false, true]);
	expect(machine.playing).toBe(1);
	first.play();
	expect([first.playing, second.playing]).toEqual([true, false]);
	expect(machine.playing).toBe(1);
	first.close();
	expect(machine.playing).toBe(0);
});

test('it can be saved when it is complete, and not before', () => {
	const live = track(1);
	expect(live.file()).toBeNull();
	live.end();
	expect(live.file()!.size).toBe(HEAD.length + 2 * RATE);
	const empty = new LiveTrack();
	empty.end();
	expect(empty.file()).toBeNull();
	expect(empty.playing).toBe(false);
});

test('of long speech a minute is ready to be heard, and the rest follows without a gap', () => {
	track(...Array(12).fill(10));
	expect(machine.started.map(({ seconds }) => seconds)).toEqual(Array(6).fill(10));
	const at = machine.started[0]!.at;
	for (const source of [0, 1, 2, 3, 4, 5]) {
		machine.now = at + 10 * (source + 1);
		machine.sources[source]!.onended();
	}
	expect(machine.started.map(({ at: start }) => Math.round(start - at))).toEqual(
		Array.from({ length: 12 }, (_, block) => 10 * block),
	);
	// Nothing is left to be made ready.
	machine.sources[6]!.onended();
	expect(machine.started).toHaveLength(12);
});

test('its picture grows with it, and the file is what came', async () => {
	const live = track(1, 20, 0.5);
	live.end();
	expect(live.envelope).toHaveLength(2150);
	const file = live.file();
	expect(file?.size).toBe(HEAD.length + 2 * RATE * 21.5);
	const head = new DataView(await file!.slice(0, HEAD.length).arrayBuffer());
	expect(head.getUint32(HEAD.length - 4, true)).toBe(2 * RATE * 21.5);
});

/** A file that the browser does not play: it says the same of every reason. */
async function unheard(answer: () => Response, code = 4): Promise<FileTrack> {
	vi.stubGlobal('fetch', () => Promise.resolve().then(answer));
	vi.stubGlobal(
		'Audio',
		class {
			currentTime = 0;
			error = { code };
			onerror = () => {};
			play() {
				this.onerror();
				return Promise.reject(new DOMException('', 'NotSupportedError'));
			}
			pause() {}
			load() {}
			removeAttribute() {}
		},
	);
	const track = new FileTrack('/api/voices/ana/takes/1/audio', 3);
	track.play();
	await vi.waitFor(() => expect(track.trouble).not.toBeNull());
	await new Promise((resolve) => setTimeout(resolve));
	return track;
}

test.each([
	['This browser cannot play it', 4, () => new Response('sound')],
	['The connection broke', 2, () => new Response('sound')],
	['The twin failed', 4, () => new Response('', { status: 503 })],
	['The gateway does not answer', 4, () => {
		throw new TypeError('fetch failed');
	}],
])('a take that is not heard says why: %s', async (title, code, answer) => {
	const track = await unheard(answer, code);
	expect(track.trouble?.title).toBe(title);
	// And it is tried anew, not disabled for good.
	vi.stubGlobal(
		'Audio',
		class {
			play = () => Promise.resolve();
			pause() {}
			load() {}
			removeAttribute() {}
		},
	);
	track.play();
	expect(track.trouble).toBeNull();
	track.close();
});

test('a take of which the twin says that nobody is signed in ends the session', async () => {
	const track = await unheard(() => new Response('', { status: 401 }));
	expect([track.trouble?.status, session.ended]).toEqual([401, true]);
	track.close();
	session.ended = false;
});
