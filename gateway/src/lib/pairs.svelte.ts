/** The owner goes through pairs: where the reader stands, what was marked, edited and taken back. */
import type { components } from './api.d.ts';
import { asTrouble, type Trouble } from './trouble.ts';

type Served = components['schemas']['Pair'];
/** `edit`: the owner's own wording, if there is one. */
export type Pair = Omit<Served, 'edit'> & { edit: string | null };
export type Mark = Pair['mark'];

/** The reply as the next build will learn it. */
export const wording = (pair: Pair): string => pair.edit ?? pair.reply;

export interface Query {
	/** '' is every part. */
	split: string;
	words: string;
}

/** The API's half. Each ends in Trouble when it fails. */
export interface Desk {
	page(query: Query, offset: number): Promise<{ pairs: Served[]; total: number }>;
	mark(id: string, mark: Mark): Promise<unknown>;
	/** null takes the owner's edit back. Gives the edit as it was kept. */
	edit(id: string, edit: string | null): Promise<string | null>;
}

/** Something that was done to a pair, and what undoes it. */
type Done = { id: string; mark: Mark } | { id: string; edit: string | null };

/** Pairs from the end at which the next ones are asked for. */
const AHEAD = 5;

export class Review {
	pairs: Pair[] = $state([]);
	/** Of the query, loaded or not; null until it is known. */
	total: number | null = $state(null);
	/** Where the reader stands among `pairs`. */
	at = $state(0);
	loading = $state(false);
	trouble: Trouble | null = $state(null);
	/** What can be taken back, the newest last. */
	done: Done[] = $state([]);
	query: Query = $state({ split: '', words: '' });
	/** Rewordings that were begun and are not kept yet, by their pairs' ids: they wait, whatever is shown. */
	begun: Record<string, { pair: Pair; words: string }> = $state({});
	/** Pairs that are not as they were when they were first seen: the next build will differ. */
	changed = $state(0);

	readonly #desk: Desk;
	readonly #first = new Map<string, { mark: Mark; edit: string | null }>();
	readonly #altered = new Set<string>();
	/** Which of several questions is answered: the answer to an earlier one is thrown away. */
	#asked = 0;
	/** Writes go one after the other, as they were made. */
	#writes: Promise<unknown> = Promise.resolve();

	constructor(desk: Desk) {
		this.#desk = desk;
	}

	get current(): Pair | undefined {
		return this.pairs[this.at];
	}

	/** Rewordings that would be lost. */
	get unkept(): Pair[] {
		return Object.values(this.begun)
			.filter(({ pair, words }) => words.trim() !== wording(pair).trim())
			.map(({ pair }) => pair);
	}

	/** Begins at a pair of another query: the first, or where the reader was before. */
	async ask(query: Query, at = 0): Promise<void> {
		this.query = query;
		// As it is kept: compared below.
		const asked = this.query;
		this.pairs = [];
		this.total = null;
		this.at = 0;
		// What is not shown any more cannot be taken back unseen.
		this.done = [];
		await this.#load();
		// Page by page: where the reader was may be far in.
		while (
			this.query === asked && !this.trouble && !this.loading &&
			this.pairs.length <= at && this.pairs.length < (this.total ?? 0)
		) await this.#load();
		if (this.query === asked) this.stand(at);
	}

	/** Takes over what was done to the pairs elsewhere, in another tab, say. */
	async refresh(): Promise<void> {
		const { query } = this;
		if (this.loading) return;
		try {
			for (let offset = 0; offset < this.pairs.length;) {
				await this.#writes;
				const written = this.#writes;
				const { pairs } = await this.#desk.page(query, offset);
				// What is marked here meanwhile is newer than the answer.
				if (query !== this.query || written !== this.#writes || pairs.length === 0) return;
				for (const { id, mark, edit = null } of pairs) {
					const pair = this.pairs.find((one) => one.id === id);
					if (pair) Object.assign(pair, { mark, edit });
				}
				offset += pairs.length;
			}
		} catch {
			// What is shown stays; the next thing that is done tells what is wrong.
		}
	}

	async more(): Promise<void> {
		if (!this.loading && this.pairs.length < (this.total ?? 0)) await this.#load();
	}

	/** Asks again what failed to load. */
	async again(): Promise<void> {
		await this.#load();
	}

	async #load(): Promise<void> {
		const asked = (this.#asked += 1);
		this.loading = true;
		this.trouble = null;
		try {
			// What was marked a moment ago must be in the answer.
			await this.#writes;
			const page = await this.#desk.page(this.query, this.pairs.length);
			if (asked !== this.#asked) return;
			const known = new Set(this.pairs.map(({ id }) => id));
			for (const pair of page.pairs) {
				const { id, mark, edit = null } = pair;
				if (known.has(id)) continue;
				if (!this.#first.has(id)) this.#first.set(id, { mark, edit });
				this.pairs.push({ ...pair, edit });
				const begun = this.begun[id];
				if (begun) begun.pair = this.pairs.at(-1)!;
			}
			// A page without anything is the end, whatever was counted.
			this.total = page.pairs.length > 0 ? page.total : this.pairs.length;
		} catch (error) {
			if (asked === this.#asked) this.trouble = asTrouble(error);
		} finally {
			if (asked === this.#asked) this.loading = false;
		}
	}

	/** Goes to the pair `by` places further, as far as there are any. */
	go(by: number): void {
		this.stand(this.at + by);
	}

	stand(at: number): void {
		this.at = Math.max(0, Math.min(at, this.pairs.length - 1));
		if (this.at >= this.pairs.length - AHEAD) void this.more();
	}

	/** Marks a pair; the mark that it has already is taken off. */
	async mark(pair: Pair, mark: Mark): Promise<void> {
		await this.#do(
			{ id: pair.id, mark: pair.mark },
			() => this.#mark(pair, pair.mark === mark ? 'none' : mark),
		);
	}

	/** Keeps the owner's wording of a reply; null, or the words that are there, take it back. */
	async edit(pair: Pair, words: string | null): Promise<boolean> {
		const edit = words === pair.reply ? null : words;
		if (edit === pair.edit) return true;
		return await this.#do({ id: pair.id, edit: pair.edit }, () => this.#edit(pair, edit));
	}

	/** Opens a pair for rewording; one that is open stays as it is. */
	begin(pair: Pair): void {
		this.begun[pair.id] ??= { pair, words: wording(pair) };
	}

	/** Gives a rewording up. */
	cancel({ id }: Pair): void {
		delete this.begun[id];
	}

	/** Keeps a rewording; without words, the reply that was written comes back. */
	async keep(pair: Pair): Promise<void> {
		const begun = this.begun[pair.id];
		if (!begun) return;
		delete this.begun[pair.id];
		const words = begun.words.trim();
		// What could not be kept is open again, with its words.
		if (!await this.edit(pair, words === '' ? null : words)) this.begun[pair.id] ??= begun;
	}

	/** Takes the last thing back, and goes where it was done. */
	async undo(): Promise<void> {
		const last = this.done.pop();
		const at = this.pairs.findIndex(({ id }) => id === last?.id);
		const pair = this.pairs[at];
		if (!last || !pair) return;
		this.stand(at);
		const undone = 'mark' in last
			? await this.#mark(pair, last.mark)
			: await this.#edit(pair, last.edit);
		if (!undone) this.done.push(last);
	}

	/** `act`, which can be taken back if it succeeds. */
	async #do(undo: Done, act: () => Promise<boolean>): Promise<boolean> {
		this.done.push(undo);
		// In the list at once, so that it can be taken back before it is written.
		const mine = this.done.at(-1);
		if (await act()) return true;
		const at = this.done.findIndex((one) => one === mine);
		if (at >= 0) this.done.splice(at, 1);
		return false;
	}

	async #mark(pair: Pair, mark: Mark): Promise<boolean> {
		const before = pair.mark;
		pair.mark = mark;
		return await this.#write(pair, () => this.#desk.mark(pair.id, mark), () => {
			// Unless it was marked again meanwhile: then that is what counts.
			if (pair.mark === mark) pair.mark = before;
		});
	}

	async #edit(pair: Pair, edit: string | null): Promise<boolean> {
		const before = pair.edit;
		pair.edit = edit;
		const write = async () => {
			const kept = await this.#desk.edit(pair.id, edit);
			if (pair.edit === edit) pair.edit = kept;
		};
		return await this.#write(pair, write, () => {
			if (pair.edit === edit) pair.edit = before;
		});
	}

	/** Whether it was written; if not, `back` puts the page right again. */
	async #write(pair: Pair, write: () => Promise<unknown>, back: () => void): Promise<boolean> {
		this.trouble = null;
		this.#count(pair);
		const written = this.#writes.then(write);
		this.#writes = written.catch(() => {});
		try {
			await written;
			return true;
		} catch (error) {
			back();
			this.trouble = asTrouble(error);
			return false;
		} finally {
			this.#count(pair);
		}
	}

	#count(pair: Pair): void {
		const first = this.#first.get(pair.id);
		const same = first?.mark === pair.mark && first.edit === pair.edit;
		if (same) this.#altered.delete(pair.id);
		else this.#altered.add(pair.id);
		this.changed = this.#altered.size;
	}
}

export type Command = 'next' | 'back' | 'drop' | 'pin' | 'edit' | 'undo';

const KEYS = new Map<string, Command>([
	['j', 'next'],
	['ArrowRight', 'next'],
	['k', 'back'],
	['ArrowLeft', 'back'],
	['d', 'drop'],
	['p', 'pin'],
	['e', 'edit'],
	['u', 'undo'],
]);

/** What a key means while pairs are reviewed; undefined: nothing, it is the browser's. */
export function meaning(
	{ key, ctrlKey, metaKey, altKey }: Pick<
		KeyboardEvent,
		'key' | 'ctrlKey' | 'metaKey' | 'altKey'
	>,
): Command | undefined {
	if (ctrlKey || metaKey || altKey) return undefined;
	return KEYS.get(key.length === 1 ? key.toLowerCase() : key);
}
