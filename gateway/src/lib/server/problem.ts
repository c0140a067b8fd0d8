/**
 * Everything that the door answers when it cannot do what was asked, as RFC 9457 documents.
 * All text stands here: nothing that the owner or the twin wrote can get into an error.
 */

const KINDS = {
	'invalid-request': [422, 'The request cannot be used', 'Correct the fields named in `errors`.'],
	'no-key': [
		401,
		'A key is needed',
		'Open the link that `twin serve` prints, or send its key as `Authorization: Bearer KEY`.',
	],
	'cross-site': [
		403,
		'Not from another site',
		'Call the twin from its own page or from a program.',
	],
	'not-found': [404, 'There is nothing here', 'See the list of routes in the documentation.'],
	'wrong-method': [405, 'Not with this method', 'See the list of routes in the documentation.'],
	'too-large': [413, 'The request is too large', 'Send less text.'],
	'not-json': [415, 'JSON is needed', 'Send `Content-Type: application/json`.'],
	'wrong-host': [421, 'Wrong address', 'Use the address that `twin serve` prints.'],
	'twin-cannot': [
		422,
		'The twin cannot do this',
		'Most often the text is too long: shorten it. `twin doctor` tells what else is wrong.',
	],
	'twin-busy': [429, 'The twin is busy', 'Wait for the drafts in hand, then try again.'],
	'gateway-failed': [500, 'The gateway failed', 'Try again; if it stays so, run `twin doctor`.'],
	'twin-failed': [502, 'The twin failed', 'Try again; if it stays so, run `twin doctor`.'],
	'twin-refused': [
		502,
		'The twin does not know this gateway',
		'They were started apart: stop both and run `twin serve`.',
	],
	'twin-down': [503, 'The twin is not running', 'Start it with `twin serve`, then try again.'],
	'twin-not-ready': [
		503,
		'The twin is not ready',
		'It may still be loading; if it stays so, run `twin doctor`.',
	],
	'twin-silent': [504, 'The twin does not answer', 'Restart it with `twin serve`.'],
} as const satisfies Record<string, readonly [status: number, title: string, detail: string]>;

export type Kind = keyof typeof KINDS;

/** One thing wrong with a request; `pointer` is a JSON Pointer into its body. */
export interface Fault {
	pointer: string;
	detail: string;
}

export const TYPE = 'application/problem+json';

export function problem(
	kind: Kind,
	more: { errors?: Fault[]; headers?: HeadersInit } = {},
): Response {
	const [status, title, detail] = KINDS[kind];
	const headers = new Headers(more.headers);
	headers.set('content-type', TYPE);
	if (status === 401) headers.set('www-authenticate', 'Bearer');
	const document = {
		type: `urn:aitwin:problem:${kind}`,
		title,
		status,
		detail,
		errors: more.errors,
	};
	return new Response(JSON.stringify(document), { status, headers });
}

/** What a refusal by the twin means to a caller. */
export function fromTwin(status: number): Kind {
	switch (status) {
		case 400:
		case 422:
			return 'twin-cannot';
		case 401:
		case 403:
			return 'twin-refused';
		case 413:
			return 'too-large';
		case 429:
			return 'twin-busy';
		case 503:
			return 'twin-not-ready';
		case 504:
			return 'twin-silent';
		default:
			return 'twin-failed';
	}
}

/** What the framework's own refusal means to a caller. */
export function fromKit(status: number): Kind {
	if (status === 404) return 'not-found';
	if (status === 405) return 'wrong-method';
	return 'gateway-failed';
}
