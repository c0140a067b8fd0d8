/**
 * The page's way to the twin: typed calls that end well or in Trouble.
 *
 *     const voices = await api.GET('/voices').then(data);
 *     const { response } = await api.POST('/v1/audio/speech', { body, parseAs: 'stream', signal });
 */
import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from './api.d.ts';
import { presence } from './presence.svelte.ts';
import { parsed } from './record.ts';
import { session } from './session.svelte.ts';
import { unsaved } from './unsaved.ts';
import { fromBody, fromResponse, silent, Trouble } from './trouble.ts';

const BASE = '/api';

/** Nothing answers: the frame of the page asks at once whether that is so. */
function away(): Trouble {
	presence.doubt();
	return silent();
}

function signedOut(): Trouble {
	session.end();
	return new Trouble('You were signed out', 'Try again.', 401);
}

const ends: Middleware = {
	async onResponse({ response }) {
		if (response.ok) return;
		if (response.status >= 500) presence.doubt();
		throw response.status === 401 ? signedOut() : await fromResponse(response);
	},
	onError({ request, error }) {
		// Whoever stopped it knows, and hears his own reason.
		return request.signal.aborted && error instanceof Error ? error : away();
	},
};

/** By FastAPI's paths: the gateway passes `/api/X` on to `/X`. */
export const api = createClient<paths>({ baseUrl: BASE });
api.use(ends);

/** What an answer holds. It was good, or Trouble would have been thrown. */
export function data<T>(answer: { data?: T }): T {
	return answer.data as T;
}

/** A stream that was asked for with `parseAs: 'stream'`. */
export function body(answer: { response: Response }): ReadableStream<Uint8Array> {
	if (!answer.response.body) throw new Trouble('The twin said nothing', 'Try again.');
	return answer.response.body;
}

/**
 * Sends a form or a file and tells how far it is (fetch cannot tell). `path` as in `api`; `sent` goes
 * from 0 to 1.
 */
export function upload<T>(
	path: string,
	form: FormData | Blob,
	{ sent, signal }: { sent?: (share: number) => void; signal?: AbortSignal } = {},
): Promise<T> {
	if (signal?.aborted) return Promise.reject(signal.reason);
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		request.onloadend = unsaved(() => true);
		request.open('POST', BASE + path);
		request.upload.onprogress = ({ loaded, total }) => sent?.(total ? loaded / total : 0);
		request.onerror = () => reject(away());
		request.onabort = () => reject(signal?.reason);
		request.onload = () => {
			const { status, responseText } = request;
			if (status >= 200 && status < 300) {
				const answer = parsed(responseText);
				return answer ? resolve(answer as T) : reject(fromBody(status, null, ''));
			}
			if (status >= 500) presence.doubt();
			if (status === 401) return reject(signedOut());
			reject(fromBody(status, request.getResponseHeader('content-type'), responseText));
		};
		signal?.addEventListener('abort', () => request.abort(), { once: true });
		request.send(form);
	});
}
