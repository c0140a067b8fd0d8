/**
 * Everything that the door answers when it cannot do what was asked, as RFC 9457 documents.
 * All text stands here: nothing that the owner or the twin wrote can get into an error.
 */

/** What FastAPI has by the same name has the same status and title there (server/problems.py). */
export const KINDS = {
	'invalid-request': [
		422,
		'Some fields of the request are wrong',
		'Correct the fields named in `errors`.',
	],
	'no-key': [
		401,
		'Sign in first',
		'Open the link that `twin login` prints, or send a token (`twin token create NAME`) as ' +
		'`Authorization: Bearer TOKEN`.',
	],
	'wrong-code': [
		401,
		'That does not open the twin',
		'A login link works once, and only for minutes: `twin login` prints a new one. If it was the ' +
		'passphrase, check it: `twin passphrase` sets another.',
	],
	'cross-site': [
		403,
		'Not from another site',
		'Call the twin from its own page, or from a program with a token.',
	],
	'no-access': [
		403,
		'Not let in by Cloudflare Access',
		'Come through the address that Access guards, and sign in there. If you did, see that the ' +
		'file of its keys is fresh (gateway/README.md).',
	],
	'not-allowed': [
		403,
		'This needs the owner',
		'This token may write and speak; `twin token create NAME --scope owner` makes one for the rest.',
	],
	'not-found': [404, 'There is nothing here', 'See the list of routes in the documentation.'],
	'wrong-method': [405, 'This is not done here', 'See the list of routes in the documentation.'],
	'malformed': [400, 'The request cannot be read', 'Send one whole JSON document, in UTF-8.'],
	'too-slow': [408, 'The request came too slowly', 'Send it at once, in one piece.'],
	'too-large': [413, 'The request is too large', 'Send less text, or a smaller file.'],
	'unsupported-media-type': [
		415,
		'The request is in another form',
		'Send JSON with `Content-Type: application/json`; where the documentation names a file, a form ' +
		'(`multipart/form-data`). The header `Accept` of this answer names what this route takes.',
	],
	'wrong-host': [
		421,
		'Wrong address',
		'Use the address that `twin serve` prints. To open another name, put it into TWIN_HOSTS.',
	],
	'bad-range': [416, 'There are no such bytes', 'Ask for bytes within the file.'],
	'twin-cannot': [
		422,
		'The twin cannot do this',
		'Check the fields against the documentation, and shorten long texts; `twin doctor` tells what else is wrong.',
	],
	'too-many-tries': [429, 'Too many requests', 'Wait as long as Retry-After says, then try again.'],
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

/** One thing wrong with a request; `pointer` is a JSON Pointer into its body, as a fragment (`#/prompt`). */
export interface Fault {
	pointer: string;
	detail: string;
}

/** What a problem may carry besides its kind. */
export interface More {
	errors?: Fault[];
	headers?: HeadersInit;
}

export const TYPE = 'application/problem+json';
export const PREFIX = 'urn:aitwin:problem:';

export function problem(kind: Kind, more: More = {}): Response {
	const [status, title, detail] = KINDS[kind];
	const headers = new Headers(more.headers);
	headers.set('content-type', TYPE);
	if (status === 401) headers.set('www-authenticate', 'Bearer');
	const document = {
		type: PREFIX + kind,
		title,
		status,
		detail,
		errors: more.errors,
		// What the clients of OpenAI's API read.
		error: {
			message: `${title}. ${detail}`,
			type: status < 500 ? 'invalid_request_error' : 'server_error',
			code: kind,
		},
	};
	return new Response(JSON.stringify(document), { status, headers });
}

/** What a refusal by the twin means to a caller, where its own words cannot be handed on. */
export function fromTwin(status: number): Kind {
	switch (status) {
		case 400:
		case 422:
			return 'twin-cannot';
		case 401:
		case 403:
			return 'twin-refused';
		case 404:
			return 'not-found';
		case 405:
			return 'wrong-method';
		case 413:
			return 'too-large';
		case 415:
			return 'unsupported-media-type';
		case 416:
			return 'bad-range';
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
