/** A job as a page watches it: found or started, followed to its end, stopped or gone on with. */
import { onDestroy } from 'svelte';
import { api, data } from './client.ts';
import { type Curve, type Entry, grown, NOTHING, ofSteps } from './curve.ts';
import { follow, isOver, type Job, type Moment, type Source } from './jobs.ts';
import { presence } from './presence.svelte.ts';
import { session } from './session.svelte.ts';
import { asTrouble, type Trouble } from './trouble.ts';

export type Kind = Job['kind'];

/** Milliseconds for which a job that failed is shown when the page is opened. */
const REMEMBERED = 60 * 60 * 1000;
/** Milliseconds until a refused stream is asked for again. */
const AGAIN = 3000;
/** Milliseconds until the list of jobs is asked for again. */
const LATER = 10_000;

/** How jobs are asked for; a test has ways of its own. */
export interface Ways {
	list(): Promise<Job[]>;
	get(id: string): Promise<Job & { curve: readonly Entry[] }>;
	cancel(id: string): Promise<Job>;
	resume(id: string): Promise<Job>;
	open?: (url: string) => Source;
	/** Calls `act` when the page is left. */
	left(act: () => void): void;
	/** Whether the tab is looked at. */
	seen?: () => boolean;
	/** Calls `act` whenever that changes; gives a function that calls it off. */
	sight?: (act: () => void) => () => void;
}

const of = (id: string) => ({ params: { path: { job_id: id } } });

const API: Ways = {
	list: async () => data(await api.GET('/jobs')).jobs,
	get: (id) => api.GET('/jobs/{job_id}', of(id)).then(data),
	cancel: (id) => api.POST('/jobs/{job_id}/cancel', of(id)).then(data),
	resume: (id) => api.POST('/jobs/{job_id}/resume', of(id)).then(data),
	left: onDestroy,
	seen: () => document.visibilityState === 'visible',
	sight(act) {
		// The gateway makes the page first, where nobody looks.
		if (typeof document === 'undefined') return () => {};
		document.addEventListener('visibilitychange', act);
		return () => document.removeEventListener('visibilitychange', act);
	},
};

export class Watch {
	/** What is watched; null: nothing. */
	job: Job | null = $state.raw(null);
	/** Of a training: what it measured so far. */
	curve: Curve = $state.raw(NOTHING);
	/** Whether its events arrive; the job goes on without them. */
	connected = $state(true);
	trouble: Trouble | null = $state.raw(null);
	/** A button was pressed, and its answer is awaited. */
	asking = $state(false);

	active = $derived.by(() => this.job !== null && !isOver(this.job.state));

	/** Seconds until it is done, or until its stage is; null: nobody knows yet. */
	left = $derived.by(() =>
		this.job?.training?.seconds_left ?? this.job?.progress?.seconds_left ?? null
	);

	readonly #kinds: readonly Kind[];
	readonly #onend: (job: Job) => void;
	readonly #ways: Ways;
	#stop = () => {};
	/** The page was left. */
	#gone = false;
	/** The job whose events nobody reads while the tab is not looked at. */
	#paused: string | null = null;
	/** A stream of events is open. */
	#open = false;

	/** Made while a component is set up; `onend` is told of each job that ends while it is watched. */
	constructor(kinds: readonly Kind[], onend: (job: Job) => void = () => {}, ways = API) {
		this.#kinds = kinds;
		this.#onend = onend;
		this.#ways = ways;
		const blind = ways.sight?.(() => this.#look());
		ways.left(() => {
			this.#gone = true;
			blind?.();
			this.#close();
		});
	}

	/**
	 * Watches the newest job of these kinds that goes on, or that the owner should know of. Where it
	 * cannot be asked for it is later: the page tells by itself that the twin does not answer.
	 */
	find = async (name?: string): Promise<void> => {
		if (this.job) return;
		try {
			const jobs = await this.#ways.list();
			const job = foremost(
				jobs.filter((one) =>
					this.#kinds.includes(one.kind) && (name === undefined || one.name === name)
				),
			);
			if (job && !this.job && !this.#gone) await this.watch(job);
		} catch (error) {
			if (this.#gone || this.job) return;
			if (asTrouble(error).status === 401) this.#stop = session.wait(() => this.find(name));
			else this.#later(() => this.find(name), LATER);
		}
	};

	/** Watches this very job, say one that was started just now. */
	watch = async (job: Job): Promise<void> => {
		this.#close();
		this.job = job;
		this.curve = NOTHING;
		if (job.kind === 'training') await this.#again(job.id);
		else this.#follow(job.id);
	};

	/** Asks how the job stands, where its events do not tell; whether it is worth following now. */
	async #ask(id: string): Promise<boolean> {
		try {
			const { curve, ...job } = await this.#ways.get(id);
			if (this.#gone || this.job?.id !== id) return false;
			this.#take(job);
			this.curve = ofSteps(curve);
			this.trouble = null;
			return true;
		} catch (error) {
			if (this.#gone || this.job?.id !== id) return false;
			this.trouble = asTrouble(error);
			if (this.trouble.status !== 401) return true;
			this.#close();
			this.#stop = session.wait(() => this.#again(id));
			return false;
		}
	}

	async #again(id: string): Promise<void> {
		if (this.#gone || this.job?.id !== id) return;
		if (await this.#ask(id)) this.#follow(id);
	}

	/**
	 * Reads the events of the job that is watched, if any are to come. Whoever left the page while
	 * something was awaited has nobody to close the stream, and a browser has six in all.
	 */
	#follow(id: string): void {
		if (this.#gone || this.job?.id !== id || !this.active) return;
		this.#close();
		if (this.#ways.seen?.() === false) {
			this.#paused = id;
			return;
		}
		this.#open = true;
		this.#stop = follow(id, {
			progressed: (moment) => this.#progress(moment),
			ended: (job) => this.#take(job),
			connected: (there) => {
				this.connected = there;
				if (!there) presence.doubt();
			},
			refused: () => this.#later(() => this.#again(id), AGAIN),
		}, this.#ways.open);
	}

	#later(act: () => Promise<void>, after: number): void {
		if (this.#gone) return;
		this.#close();
		const timer = setTimeout(act, after);
		this.#stop = () => clearTimeout(timer);
	}

	/** Nothing is read, nor waited for, any more. */
	#close(): void {
		this.#stop();
		this.#stop = () => {};
		this.#open = false;
		this.#paused = null;
	}

	/**
	 * A tab that nobody looks at reads no events: each open stream is one of the six connections that
	 * all tabs have together. Looked at again, it asks how the job stands, and reads on.
	 */
	#look(): void {
		const id = this.job?.id;
		if (!id || this.#gone) return;
		if (this.#ways.seen?.() === false) {
			if (!this.#open) return;
			this.#close();
			this.#paused = id;
		} else if (this.#paused === id) {
			this.#paused = null;
			void this.#again(id);
		}
	}

	#progress(moment: Moment): void {
		if (!this.job) return;
		this.job = { ...this.job, ...moment };
		if (moment.training) this.curve = grown(this.curve, moment.training);
	}

	/** The job as it is now. */
	#take(job: Job): void {
		const ended = this.active && isOver(job.state);
		this.job = job;
		if (ended) this.#onend(job);
	}

	/** Stops it; what is good so far is kept. Asked again, it stops at once. */
	cancel = () => this.#act((id) => this.#ways.cancel(id));

	/** Goes on with it where it stopped. */
	resume = () => this.#act((id) => this.#ways.resume(id));

	async #act(ask: (id: string) => Promise<Job>): Promise<void> {
		const id = this.job?.id;
		if (!id || this.asking) return;
		this.asking = true;
		this.trouble = null;
		try {
			const job = await ask(id);
			if (this.#gone || this.job?.id !== id) return;
			const waits = !this.active;
			this.#take(job);
			if (waits) this.#follow(job.id);
		} catch (error) {
			if (this.job?.id === id) this.trouble = asTrouble(error);
		} finally {
			this.asking = false;
		}
	}

	/** Shows no job any more. */
	dismiss = (): void => {
		this.#close();
		this.job = null;
		this.trouble = null;
		this.curve = NOTHING;
	};
}

/** Of these jobs, the newest first, the one to be shown; undefined: none. */
function foremost(jobs: readonly Job[]): Job | undefined {
	const [newest] = jobs;
	return jobs.find(({ state }) => state === 'running' || state === 'cancelling') ??
		// The next to begin: the one that has waited longest.
		jobs.findLast(({ state }) => state === 'queued') ??
		(newest && shown(newest) ? newest : undefined) ??
		// Nobody stopped it, and nothing of its name was done since.
		jobs.find((one, at) =>
			one.state === 'interrupted' &&
			!jobs.slice(0, at).some(({ kind, name }) => kind === one.kind && name === one.name)
		);
}

/** Whether a job is to be shown to who opens the page. */
function shown({ state, can_resume, ended_at }: Job): boolean {
	if (!isOver(state) || (can_resume && state !== 'failed')) return true;
	return state === 'failed' && ended_at != null && Date.now() - Date.parse(ended_at) < REMEMBERED;
}
