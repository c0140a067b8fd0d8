/** Long work as the page sees it: its words, and its events as they come. */

import type { components } from './api.d.ts';
import { bytes, number } from './format.ts';
import { parsed, text } from './record.ts';

export type Job = components['schemas']['Job'];
/** What a job does at one moment: each part is the latest. */
export type Moment = Pick<Job, 'state' | 'stage' | 'progress' | 'training' | 'plan'>;
export type State = Job['state'];

const SAID: Record<State, string> = {
	queued: 'Waiting',
	running: 'At work',
	cancelling: 'Stopping',
	done: 'Done',
	failed: 'Failed',
	cancelled: 'Stopped',
	interrupted: 'Interrupted',
};

export const said = (state: State): string => SAID[state];

const ACTIVE: readonly State[] = ['queued', 'running', 'cancelling'];

export const isOver = (state: State): boolean => !ACTIVE.includes(state);

/** "1,204 of 3,000 messages", "12 of 80 MB": how far it is, in its own unit. */
export function far(
	{ done, total, unit }: Pick<NonNullable<Job['progress']>, 'done' | 'total' | 'unit'>,
): string {
	// Under way, and nobody counts.
	if (!total && !done) return '';
	if (unit === 'bytes') return total ? `${bytes(done)} of ${bytes(total)}` : bytes(done);
	const so = number(Math.round(done));
	return `${total ? `${so} of ${number(total)}` : so} ${unit}`.trim();
}

/** The part of the browser's EventSource that is used, so that a test can stand in for it. */
export interface Source {
	readonly readyState: number;
	addEventListener(type: string, listener: (event: Event) => void): void;
	close(): void;
}

export interface Watcher {
	progressed(moment: Moment): void;
	/** The job is over; no more will come. */
	ended(job: Job): void;
	/** The connection is gone, and the browser is trying to come back; then it is there again. */
	connected(there: boolean): void;
	/** The gateway refuses the stream: no more will come of it. */
	refused(): void;
}

const CLOSED = 2;

/**
 * Follows the events of a job until it ends; gives a function that stops following it.
 *
 * The browser reconnects by itself and says which event it had last, so none is missed.
 */
export function follow(
	id: string,
	watcher: Watcher,
	open: (url: string) => Source = (url) => new EventSource(url),
): () => void {
	const source = open(`/api/jobs/${encodeURIComponent(id)}/events`);
	source.addEventListener('open', () => watcher.connected(true));
	source.addEventListener('progress', (event) => {
		const moment = momentOf(event);
		if (moment) watcher.progressed(moment);
	});
	source.addEventListener('end', (event) => {
		// Closed first: a stream that ends is one that the browser opens again.
		source.close();
		const job = jobOf(event);
		if (job) watcher.ended(job);
		else watcher.refused();
	});
	source.addEventListener('error', () => {
		watcher.connected(false);
		if (source.readyState === CLOSED) watcher.refused();
	});
	return () => source.close();
}

/** By the states that there are: the rest of it is as `openapi.json` says, like any answer. */
function momentOf(event: Event): Moment | undefined {
	const told = parsed((event as MessageEvent<unknown>).data);
	return told && Object.hasOwn(SAID, text(told.state)) ? told as unknown as Moment : undefined;
}

function jobOf(event: Event): Job | undefined {
	const told = momentOf(event) as Partial<Job> | undefined;
	return told?.id && told.kind ? told as Job : undefined;
}
