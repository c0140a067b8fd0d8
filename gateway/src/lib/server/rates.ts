/** How often someone may come: token buckets. Knows nothing of who they are. */

interface Bucket {
	left: number;
	at: number;
}

/** Buckets kept; of a full one nothing is lost when it is dropped. */
const MOST = 10_000;

/** `burst` at once, then `perSecond`, for each key. */
export class Rate {
	#buckets = new Map<string, Bucket>();

	constructor(
		readonly perSecond: number,
		readonly burst: number,
		readonly now: () => number = () => performance.now(),
	) {}

	/** Takes one; 0, or the seconds after which to come again. */
	take(key: string): number {
		const bucket = this.#filled(key);
		if (bucket.left < 1) return Math.max(1, Math.ceil((1 - bucket.left) / this.perSecond));
		bucket.left -= 1;
		return 0;
	}

	/** The seconds after which to come again, 0 for now; takes nothing. */
	wait(key: string): number {
		const { left } = this.#filled(key);
		return left < 1 ? Math.max(1, Math.ceil((1 - left) / this.perSecond)) : 0;
	}

	/** As if it had never come. */
	forgive(key: string) {
		this.#buckets.delete(key);
	}

	#filled(key: string): Bucket {
		const now = this.now();
		const bucket = this.#buckets.get(key) ?? { left: this.burst, at: now };
		bucket.left = Math.min(this.burst, bucket.left + (now - bucket.at) / 1000 * this.perSecond);
		bucket.at = now;
		// At the end again: the first is the one that has not come for the longest time.
		this.#buckets.delete(key);
		this.#buckets.set(key, bucket);
		if (this.#buckets.size > MOST) {
			const [oldest] = this.#buckets.keys();
			if (oldest !== undefined) this.#buckets.delete(oldest);
		}
		return bucket;
	}
}
