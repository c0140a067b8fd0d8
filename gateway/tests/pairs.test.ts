import { expect, test } from 'vitest';
import {
	type Desk,
	type Mark,
	meaning,
	type Pair,
	Review,
	wording,
} from '../src/lib/pairs.svelte.ts';
import { Trouble } from '../src/lib/trouble.ts';

const PAGE = 10;
const FULL = new Trouble('The disk is full', 'Make room, then try again.');

/** A desk that keeps what it is told, as FastAPI does; `fails` makes its next write fail. */
class Kept implements Desk {
	readonly written: string[] = [];
	readonly pairs: Pair[];
	fails = false;

	constructor(count: number) {
		this.pairs = Array.from({ length: count }, (_, index) => ({
			id: `p${index}`,
			split: index % 2 ? 'train' as const : 'test' as const,
			channel: 'mail' as const,
			sent_at: '2026-01-01T10:00:00Z',
			instruction: 'Answer',
			incoming: 'Does Thursday work?',
			reply: `reply ${index}`,
			mark: 'none',
			edit: null,
			kept: false,
		}));
	}

	async page({ split, words }: { split: string; words: string }, offset: number) {
		await Promise.resolve();
		const fitting = this.pairs.filter((pair) =>
			(!split || pair.split === split) && pair.reply.includes(words)
		);
		const pairs = fitting.slice(offset, offset + PAGE).map((pair) => ({ ...pair }));
		return { pairs, total: fitting.length };
	}

	async mark(id: string, mark: Mark) {
		await this.#write(`${id} ${mark}`);
		this.#pair(id).mark = mark;
	}

	async edit(id: string, edit: string | null) {
		await this.#write(`${id} = ${edit}`);
		return (this.#pair(id).edit = edit?.trim() ?? null);
	}

	async #write(what: string) {
		await Promise.resolve();
		if (this.fails) throw FULL;
		this.written.push(what);
	}

	#pair = (id: string) => this.pairs.find((pair) => pair.id === id)!;
}

async function opened(count = 30, query = { split: '', words: '' }) {
	const desk = new Kept(count);
	const review = new Review(desk);
	await review.ask(query);
	return { desk, review };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test('the next pairs are there before the reader comes to the last', async () => {
	const { review } = await opened(24);
	expect([review.pairs.length, review.total]).toEqual([PAGE, 24]);
	for (let at = 0; at < 40; at++) {
		review.go(1);
		await settled();
		expect(review.current?.id).toBe(`p${Math.min(at + 1, 23)}`);
	}
	review.go(-99);
	expect(review.current?.id).toBe('p0');
});

test('a mark shows at once, is written once, and is taken off by the same key', async () => {
	const { desk, review } = await opened();
	const pair = review.pairs[3]!;
	const writing = review.mark(pair, 'drop');
	expect(pair.mark).toBe('drop');
	await writing;
	expect(review.changed).toBe(1);
	await review.mark(pair, 'drop');
	expect(desk.written).toEqual(['p3 drop', 'p3 none']);
	expect(review.changed).toBe(0);
});

test('marks are written in the order in which they were made', async () => {
	const { desk, review } = await opened();
	const [first, second] = [review.pairs[0]!, review.pairs[1]!];
	await Promise.all([
		review.mark(first, 'drop'),
		review.mark(second, 'pin'),
		review.mark(first, 'pin'),
	]);
	expect(desk.written).toEqual(['p0 drop', 'p1 pin', 'p0 pin']);
});

test('what could not be written is as it was, says so, and cannot be taken back', async () => {
	const { desk, review } = await opened();
	const pair = review.pairs[0]!;
	await review.mark(pair, 'pin');
	desk.fails = true;
	await review.mark(pair, 'drop');
	await review.edit(pair, 'other words');
	expect(pair).toMatchObject({ mark: 'pin', edit: null });
	expect(review.trouble).toBe(FULL);
	expect(review.changed).toBe(1);
	await review.undo();
	expect([pair.mark, review.done.length]).toEqual(['pin', 1]);
	desk.fails = false;
	await review.undo();
	expect([pair.mark, review.done.length, review.changed]).toEqual(['none', 0, 0]);
	expect(review.trouble).toBeNull();
});

test('everything can be taken back, the last thing first', async () => {
	const { desk, review } = await opened();
	const before = structuredClone(desk.pairs);
	await review.mark(review.pairs[1]!, 'drop');
	await review.edit(review.pairs[2]!, ' first wording\n');
	expect(wording(review.pairs[2]!)).toBe('first wording');
	await review.edit(review.pairs[2]!, 'second wording');
	await review.mark(review.pairs[1]!, 'pin');
	await review.edit(review.pairs[2]!, null);
	expect(wording(review.pairs[2]!)).toBe('reply 2');
	await review.undo();
	expect(wording(review.pairs[2]!)).toBe('second wording');
	await review.undo();
	expect([review.pairs[1]!.mark, review.at]).toEqual(['drop', 1]);
	for (let left = review.done.length; left > 0; left--) await review.undo();
	expect(desk.pairs).toEqual(before);
	expect(review.changed).toBe(0);
});

test('words that stay the same are no edit, and the old words take an edit back', async () => {
	const { desk, review } = await opened();
	await review.edit(review.pairs[0]!, 'reply 0');
	await review.edit(review.pairs[0]!, null);
	expect([desk.written, review.done]).toEqual([[], []]);
	await review.edit(review.pairs[0]!, 'other');
	await review.edit(review.pairs[0]!, 'reply 0');
	expect([review.pairs[0]!.edit, review.changed]).toEqual([null, 0]);
});

test('a slow answer to an earlier question does not show under the later one', async () => {
	const { desk, review } = await opened();
	const answer = desk.page.bind(desk);
	const held: (() => void)[] = [];
	desk.page = async (query, offset) => {
		if (query.words === 'slow') await new Promise<void>((resolve) => held.push(resolve));
		return await answer(query, offset);
	};
	const slow = review.ask({ split: '', words: 'slow' });
	await settled();
	await review.ask({ split: 'train', words: '' });
	for (const release of held) release();
	await slow;
	expect(review.pairs.map(({ split }) => split)).toEqual(Array(PAGE).fill('train'));
	expect(review.loading).toBe(false);
});

test('what failed to load is asked for again, from where it failed', async () => {
	const { desk, review } = await opened();
	const answer = desk.page.bind(desk);
	desk.page = () => Promise.reject(FULL);
	await review.more();
	expect([review.trouble, review.loading, review.pairs.length]).toEqual([FULL, false, PAGE]);
	desk.page = answer;
	await review.again();
	expect([review.trouble, review.pairs.length]).toEqual([null, 2 * PAGE]);
});

test('nothing fits: the total says so', async () => {
	const { review } = await opened(5, { split: '', words: 'nowhere' });
	expect([review.total, review.current]).toEqual([0, undefined]);
	review.go(1);
	await review.undo();
});

const key = (key: string, held = {}) =>
	meaning({ key, ctrlKey: false, metaKey: false, altKey: false, ...held });

test('keys mean something only by themselves', () => {
	expect(['j', 'K', 'd', 'ArrowLeft'].map((name) => key(name)))
		.toEqual(['next', 'back', 'drop', 'back']);
	expect([key('d', { ctrlKey: true }), key('Enter'), key('constructor')])
		.toEqual([undefined, undefined, undefined]);
});

test('a rewording waits while other pairs are looked at, and through another search', async () => {
	const { desk, review } = await opened();
	const pair = review.pairs[1]!;
	review.begin(pair);
	expect(review.unkept).toEqual([]);
	review.begun.p1!.words = 'my words ';
	review.go(3);
	await review.ask({ split: 'train', words: '' });
	expect(review.begun.p1?.words).toBe('my words ');
	expect(review.unkept.map(({ id }) => id)).toEqual(['p1']);
	const shown = review.pairs.find(({ id }) => id === 'p1')!;
	await review.keep(shown);
	expect([shown.edit, desk.written, review.unkept]).toEqual(['my words', ['p1 = my words'], []]);
});

test('a rewording that could not be kept is open again, with its words', async () => {
	const { desk, review } = await opened();
	review.begin(review.pairs[0]!);
	review.begun.p0!.words = 'my words';
	desk.fails = true;
	await review.keep(review.pairs[0]!);
	expect(review.begun.p0?.words).toBe('my words');
	review.cancel(review.pairs[0]!);
	expect(review.begun).toEqual({});
});

test('it begins where the reader was, however far in', async () => {
	const { review } = await opened(0);
	const far = new Review(new Kept(45));
	await far.ask({ split: '', words: '' }, 31);
	expect(far.current?.id).toBe('p31');
	// Fewer than there were: the last.
	await far.ask({ split: 'train', words: '' }, 31);
	expect(far.at).toBe(far.pairs.length - 1);
	expect(review.current).toBeUndefined();
});

test('what was marked in another tab is seen, and is what a key turns', async () => {
	const { desk, review } = await opened(12);
	review.stand(9);
	await settled();
	desk.pairs[11]!.mark = 'drop';
	await review.refresh();
	expect(review.pairs[11]!.mark).toBe('drop');
	await review.mark(review.pairs[11]!, 'drop');
	expect(desk.written).toEqual(['p11 none']);
});
