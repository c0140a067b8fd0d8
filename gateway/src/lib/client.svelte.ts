/** The page's way to the gateway: the key that it shows, and calls that end well or in Trouble. */
import { fromResponse, Trouble } from './trouble.ts';

const STORE = 'twin-key';

class Client {
	/** null: none, or the gateway refused it. Lives as long as the tab. */
	key: string | null = $state(null);
	refused = $state(false);

	/** Whose voice speaks, in the twin's words; empty until it has told. */
	voice = $state('');

	/** Takes the key from `#key` of the link that `twin serve` prints; a fragment is never sent. */
	open() {
		const given = location.hash.slice(1);
		if (given) history.replaceState(history.state, '', location.pathname);
		if (given) this.keep(given);
		else this.key = sessionStorage.getItem(STORE);
	}

	keep(key: string) {
		sessionStorage.setItem(STORE, key);
		this.key = key;
		this.refused = false;
	}

	#refuse() {
		sessionStorage.removeItem(STORE);
		this.key = null;
		this.refused = true;
	}

	/** Ends in Trouble unless the twin is well. */
	async health() {
		const answer = await this.#call('/api/health', {});
		this.voice = (await answer.json()).voice ?? '';
	}

	async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
		return await this.#call(path, {
			method: 'POST',
			body: JSON.stringify(body),
			headers: { 'content-type': 'application/json' },
			signal,
		});
	}

	async #call(path: string, init: RequestInit): Promise<Response> {
		const headers = { ...init.headers, authorization: `Bearer ${this.key}` };
		const response = await fetch(path, { ...init, headers }).catch((error) => {
			if (init.signal?.aborted) throw error;
			throw new Trouble(
				'The gateway does not answer',
				'Start it with `twin serve`, then try again.',
			);
		});
		if (response.ok) return response;
		if (response.status === 401) this.#refuse();
		throw await fromResponse(response);
	}
}

export const client = new Client();
