/** A piece of work that the owner started: one at a time, can be stopped, ends well or in Trouble. */
import { asTrouble, type Trouble } from './trouble.ts';

export class Work<Kind extends string = 'working'> {
	/** What is being done; null: nothing. */
	doing: Kind | null = $state(null);
	trouble: Trouble | null = $state(null);
	stopped = $state(false);
	/** What ended in `trouble`; null where nothing did. */
	failed: Kind | null = $state(null);
	#abort: AbortController | null = null;

	get busy(): boolean {
		return this.doing !== null;
	}

	/** What the task gives; undefined when it was stopped, or ended in `trouble`. */
	async run<T>(
		task: (signal: AbortSignal) => Promise<T>,
		kind = 'working' as Kind,
	): Promise<T | undefined> {
		if (this.busy) return;
		const abort = (this.#abort = new AbortController());
		this.doing = kind;
		this.trouble = null;
		this.stopped = false;
		this.failed = null;
		try {
			return await task(abort.signal);
		} catch (error) {
			if (abort.signal.aborted) this.stopped = true;
			else {
				this.trouble = asTrouble(error);
				this.failed = kind;
			}
		} finally {
			this.doing = null;
			this.#abort = null;
		}
	}

	stop = () => this.#abort?.abort();
}
