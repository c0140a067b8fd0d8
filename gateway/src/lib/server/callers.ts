/** Who asks: what a caller shows -> the Caller that FastAPI knows by its digest. Keeps no secret. */
import { createHash } from 'node:crypto';

export interface Caller {
	/** `token:…` or `session:…`; names the caller to FastAPI. */
	id: string;
	kind: 'token' | 'session';
	name: string;
	/** `use`: write and speak; `owner`: everything. */
	scope: 'use' | 'owner';
	/** ISO 8601, or null: never. */
	expires_at: string | null;
}

/** What the store answers: a caller, null (there is none), or the problem that kept it from answering. */
export type Check = (digest: string) => Promise<Caller | null | Response>;

export const digest = (secret: string) => createHash('sha256').update(secret).digest('hex');

/**
 * How long FastAPI's word holds here for requests that go on to it: it looks at each itself, so revoking
 * works at once.
 */
const FRESH_MS = 60_000;
/** Callers remembered; a household has a dozen. */
const MOST = 1_000;

interface Known {
	caller: Caller;
	at: number;
}

export class Callers {
	/** By digest, the one that was asked for last at the end. */
	#known = new Map<string, Known>();
	#asked = new Map<string, Promise<Caller | null | Response>>();

	constructor(readonly check: Check, readonly now: () => number = () => Date.now()) {}

	/** Whether this digest was good before: such a caller is not suspected when it is asked for again. */
	knows(key: string): boolean {
		return this.#known.has(key);
	}

	/** `now`: ask FastAPI in any case. */
	async find(key: string, now = false): Promise<Caller | null | Response> {
		const known = this.#known.get(key);
		const caller = this.#alive(key);
		if (!now && known && caller && this.now() - known.at < FRESH_MS) {
			this.#keep(key, known);
			return caller;
		}
		// Many requests of one caller at once ask once.
		const asking = this.#asked.get(key) ?? this.#ask(key);
		const found = await asking;
		// A Response can be read once: whoever waits gets one of its own.
		return found instanceof Response ? found.clone() : found;
	}

	/** FastAPI no longer knows this caller. */
	forget(id: string) {
		for (const [key, { caller }] of this.#known) if (caller.id === id) this.#known.delete(key);
	}

	#ask(key: string) {
		const asking = this.check(key)
			.then((found) => {
				if (found === null) this.#known.delete(key);
				else if (!(found instanceof Response)) this.#keep(key, { caller: found, at: this.now() });
				// FastAPI looks at each request itself: what was true a while ago may be believed here.
				else return this.#alive(key) ?? found;
				return found;
			})
			.finally(() => this.#asked.delete(key));
		this.#asked.set(key, asking);
		return asking;
	}

	/** Who is remembered under this digest, and has not expired. */
	#alive(key: string): Caller | null {
		const caller = this.#known.get(key)?.caller ?? null;
		const until = caller?.expires_at ?? null;
		return until !== null && Date.parse(until) <= this.now() ? null : caller;
	}

	#keep(key: string, known: Known) {
		this.#known.delete(key);
		this.#known.set(key, known);
		if (this.#known.size <= MOST) return;
		const [oldest] = this.#known.keys();
		if (oldest !== undefined) this.#known.delete(oldest);
	}
}
