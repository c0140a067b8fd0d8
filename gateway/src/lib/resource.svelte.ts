/** What a page shows and loads from the twin: kept while it is loaded anew. */
import { untrack } from 'svelte';
import { session } from './session.svelte.ts';
import { asTrouble, type Trouble } from './trouble.ts';

export class Resource<T> {
	value: T | undefined = $state.raw();
	trouble: Trouble | null = $state(null);
	loading = $state(false);
	#load: (signal: AbortSignal) => Promise<T>;
	#abort: AbortController | null = null;
	#forget = () => {};

	/**
	 * Made while a component is set up: loads when it is mounted, and again when anything that `load`
	 * reads before its first `await` changes; stops when the component goes.
	 */
	constructor(load: (signal: AbortSignal) => Promise<T>) {
		this.#load = load;
		$effect(() => {
			this.#begin();
			return () => this.#stop();
		});
	}

	/** Loads it anew. Ends when that is done; never throws. */
	reload = (): Promise<void> => untrack(() => this.#begin());

	async #begin(): Promise<void> {
		this.#stop();
		const { signal } = (this.#abort = new AbortController());
		const coming = this.#load(signal);
		untrack(() => (this.loading = true));
		try {
			const value = await coming;
			if (signal.aborted) return;
			this.value = value;
			this.trouble = null;
		} catch (error) {
			if (signal.aborted) return;
			this.trouble = asTrouble(error);
			if (this.trouble.status === 401) this.#forget = session.wait(this.reload);
		}
		this.loading = false;
	}

	#stop() {
		this.#forget();
		this.#abort?.abort();
	}
}
