/** Whether the twin answers, as the frame of the page shows it. */
import { asTrouble, fromResponse, Trouble } from './trouble.ts';

/** Often enough to see a twin that comes back; idle pages ask nothing. */
const EVERY_MS = 30_000;

class Presence {
	state: 'unknown' | 'here' | 'away' = $state('unknown');
	words = $state('');
	#watched = false;
	#abort: AbortController | null = null;

	/** Asks now, whenever the page is looked at again, and meanwhile every half minute. */
	watch(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') this.look();
		};
		this.#watched = true;
		look();
		const timer = setInterval(look, EVERY_MS);
		document.addEventListener('visibilitychange', look);
		return () => {
			this.#watched = false;
			clearInterval(timer);
			document.removeEventListener('visibilitychange', look);
		};
	}

	/** Something failed as if the twin were gone: asks at once, where the frame is shown. */
	doubt() {
		if (this.#watched) void this.look();
	}

	async look() {
		// An older answer, come late, says nothing of now.
		this.#abort?.abort();
		const { signal } = (this.#abort = new AbortController());
		try {
			const response = await fetch('/api/health', { signal }).catch(() => {
				throw new Trouble('The gateway does not answer', '');
			});
			if (signal.aborted) return;
			// Not signed in: that says nothing of the twin.
			if (!response.ok && response.status !== 401) throw await fromResponse(response);
			this.state = response.ok ? 'here' : 'unknown';
			this.words = 'On this machine';
		} catch (error) {
			if (signal.aborted) return;
			this.state = 'away';
			this.words = asTrouble(error).title;
		}
	}
}

export const presence = new Presence();
