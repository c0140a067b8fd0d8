/**
 * Files on their way to the twin, one after the other. They belong to no room: whoever leaves one
 * finds them in it again, and can stop each. A file that fails is told, and the others go on.
 */
import { session } from './session.svelte.ts';
import { asTrouble, type Trouble } from './trouble.ts';
import { unsaved } from './unsaved.ts';

export interface Parcel<Wish, Kept> {
	key: number;
	name: string;
	/** Bytes. */
	size: number;
	/** What the owner chose for it. */
	wish: Wish;
	state: 'waiting' | 'sending' | 'kept' | 'failed';
	/** 0 to 1, of what is sent; at 1 the twin is at work on it. */
	share: number;
	/** What the twin said of it. */
	kept: Kept | null;
	trouble: Trouble | null;
}

type Send<Wish, Kept> = (
	file: File,
	wish: Wish,
	way: { sent: (share: number) => void; signal: AbortSignal },
) => Promise<Kept>;

export class Sending<Wish, Kept> {
	/** The latest first. */
	list: Parcel<Wish, Kept>[] = $state([]);

	readonly #send: Send<Wish, Kept>;
	readonly #files = new Map<number, File>();
	readonly #stops = new Map<number, () => void>();
	#next = 0;
	#pumping = false;

	constructor(send: Send<Wish, Kept>) {
		this.#send = send;
		unsaved(() => this.list.some(({ state }) => state === 'waiting' || state === 'sending'));
	}

	add(files: Iterable<File>, wish: Wish): void {
		for (const file of files) {
			this.#files.set(this.#put(file.name, file.size, wish), file);
		}
		void this.#pump();
	}

	/** Something that is at the twin already, to be shown with the others. */
	arrived(name: string, wish: Wish, kept: Kept): void {
		const key = this.#put(name, 0, wish);
		Object.assign(this.#of(key)!, { state: 'kept', share: 1, kept });
	}

	/** Sends one again that failed. */
	retry({ key }: Parcel<Wish, Kept>): void {
		const one = this.#of(key);
		if (one?.state !== 'failed') return;
		this.#stops.get(key)?.();
		one.state = 'waiting';
		one.trouble = null;
		void this.#pump();
	}

	/** Stops one, or takes it off the list when it is over. */
	drop({ key }: Parcel<Wish, Kept>): void {
		this.list = this.list.filter((one) => one.key !== key);
		this.#files.delete(key);
		this.#stops.get(key)?.();
		this.#stops.delete(key);
	}

	#put(name: string, size: number, wish: Wish): number {
		const key = this.#next++;
		const fresh = { state: 'waiting', share: 0, kept: null, trouble: null } as const;
		this.list.unshift({ key, name, size, wish, ...fresh });
		return key;
	}

	#of(key: number): Parcel<Wish, Kept> | undefined {
		return this.list.find((one) => one.key === key);
	}

	async #pump(): Promise<void> {
		if (this.#pumping) return;
		this.#pumping = true;
		let one;
		while ((one = this.list.findLast(({ state }) => state === 'waiting'))) await this.#one(one);
		this.#pumping = false;
	}

	async #one(one: Parcel<Wish, Kept>): Promise<void> {
		const { key } = one;
		const abort = new AbortController();
		this.#stops.set(key, () => abort.abort());
		one.state = 'sending';
		one.share = 0;
		try {
			const sent = (share: number) => (one.share = share);
			const way = { sent, signal: abort.signal };
			one.kept = await this.#send(this.#files.get(key)!, one.wish, way);
			one.state = 'kept';
			this.#files.delete(key);
			this.#stops.delete(key);
		} catch (error) {
			one.state = 'failed';
			one.trouble = asTrouble(error);
			this.#stops.delete(key);
			// Signed in again, it goes by itself: nobody has to remember it.
			if (one.trouble.status === 401 && this.#of(key)) {
				this.#stops.set(key, session.wait(() => this.retry(one)));
			}
		}
	}
}
