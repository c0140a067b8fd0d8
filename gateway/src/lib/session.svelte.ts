/** Whether this browser is signed in. The session itself is a cookie that no script can read. */
import { asTrouble, fromResponse, silent } from './trouble.ts';

/** Like `fetch`; Trouble when nothing answers, or when the answer is none that is good. */
async function ask(init: RequestInit = {}): Promise<Response> {
	const response = await fetch('/api/session', init).catch((error) => {
		throw init.signal?.aborted ? error : silent();
	});
	if (!response.ok) throw await fromResponse(response);
	return response;
}

class Session {
	/** The gateway did not know this browser when it was last asked. */
	ended = $state(false);
	/** The owner ended it: nothing of what is here is for whoever comes next. */
	closed = false;
	#waiting = new Set<() => void>();

	end() {
		this.ended = true;
	}

	/** Whether the cookie that is here is good. */
	async known(): Promise<boolean> {
		return await ask().then(() => true, () => false);
	}

	/** Signs in with the code of a link, which works once, or with the passphrase. */
	async open(by: { code: string } | { passphrase: string }, signal?: AbortSignal) {
		await ask({
			method: 'POST',
			body: JSON.stringify(by),
			headers: { 'content-type': 'application/json' },
			signal,
		});
		this.#begin();
	}

	/**
	 * Signs out: the cookie is worth nothing from now on, and the page goes with all that was typed. Gone
	 * for good, other than one whose session ended by itself.
	 */
	async close() {
		await ask({ method: 'DELETE' }).catch((error) => {
			// It had ended already.
			if (asTrouble(error).status !== 401) throw error;
		});
		this.closed = true;
		this.end();
		location.replace('/login');
	}

	/** Signed in: whatever could not be loaded before is loaded now. */
	#begin() {
		this.ended = false;
		const waiting = [...this.#waiting];
		this.#waiting.clear();
		for (const again of waiting) again();
	}

	/** Calls `again` once when the owner has signed in. Gives a function that calls it off. */
	wait(again: () => void): () => void {
		this.#waiting.add(again);
		return () => this.#waiting.delete(again);
	}
}

export const session = new Session();
