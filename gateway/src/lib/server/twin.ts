/** The one file that knows FastAPI: its address, its credential, and how it answers. */
import { TWIN_TOKEN, TWIN_UPSTREAM } from '$app/env/private';
import { gone } from './body.ts';
import type { Caller } from './callers.ts';
import { fromTwin, PREFIX, problem, TYPE } from './problem.ts';

const socket = TWIN_UPSTREAM.startsWith('unix:') ? TWIN_UPSTREAM.slice('unix:'.length) : null;
// With a socket the host of the URL is only a label. An address: Deno asks a resolver for the name of
// every host that it is to reach, which would leave this machine (`twin audit network` found it).
const base = socket ? 'http://127.0.0.1:49151' : TWIN_UPSTREAM;
/** Below the time after which FastAPI closes a connection (5 s): no request meets one as it closes. */
const IDLE_MS = 2_500;
const client = Deno?.createHttpClient({
	poolIdleTimeout: IDLE_MS,
	...(socket && { proxy: { transport: 'unix', path: socket } }),
});

/** A live twin answers what needs no model at once; a model that loads does not stop it. */
const PROMPT_MS = 5_000;

/** What a caller may say to FastAPI besides the path and the body. */
const ASKED = [
	'accept',
	'content-type',
	'if-none-match',
	'if-range',
	'last-event-id',
	'range',
];

/** What FastAPI may say to a caller besides the status and the body. */
const TOLD = new Set([
	'accept-ranges',
	'content-disposition',
	'content-length',
	'content-range',
	'content-type',
	'etag',
	'last-modified',
	'location',
	'retry-after',
]);

interface Question {
	method: string;
	/** With its query. */
	path: string;
	headers?: Headers;
	body?: BodyInit | null;
	/** The id of who asks. */
	caller: string;
	signal: AbortSignal;
}

/** Who asks when the door itself has a question. FastAPI refuses what names nobody. */
const SELF = 'gateway';

/** The headers of a caller that FastAPI may see. */
export function asked(headers: Headers): Headers {
	const passed = new Headers();
	for (const name of ASKED) {
		const value = headers.get(name);
		if (value !== null) passed.set(name, value);
	}
	return passed;
}

/** FastAPI's answer, good or not; null: there is none, and why. */
async function ask(
	{ method, path, headers = new Headers(), body, caller, signal }: Question,
): Promise<[answer: Response, why: null] | [answer: null, why: Response]> {
	headers.set('authorization', `Bearer ${TWIN_TOKEN}`);
	headers.set('x-twin-caller', caller);
	try {
		const init = { method, headers, body, redirect: 'manual', signal, duplex: 'half', client };
		return [await fetch(base + path, init as RequestInit), null];
	} catch (error) {
		if (error instanceof DOMException && error.name === 'TimeoutError') {
			return [null, problem('twin-silent')];
		}
		// A body that breaks off is a caller that hung up, told before its signal tells it.
		const cut = error instanceof TypeError && /request body/.test(String(error.cause));
		return [null, signal.aborted || cut ? gone() : problem('twin-down')];
	}
}

/**
 * FastAPI's answer, with the headers that a caller may see, or the problem for it. Streams both ways,
 * and ends when the caller does.
 */
export async function pass(
	{ caller, ...question }: Omit<Question, 'caller'> & { caller: Caller },
): Promise<Response> {
	const [answer, why] = await ask({ ...question, caller: caller.id });
	if (!answer) return why;
	return answer.ok || answer.status === 304 ? relay(answer) : await explained(answer);
}

function relay(answer: Response): Response {
	const headers = new Headers();
	for (const [name, value] of answer.headers) {
		if (TOLD.has(name) || name.startsWith('x-')) headers.set(name, value);
	}
	return new Response(answer.body, { status: answer.status, headers });
}

/** Bytes of a problem document; ours are far smaller. */
const LONGEST_PROBLEM = 64 * 1024;

/**
 * A refusal by FastAPI. Its problems of the form that we share are handed on: it never repeats in
 * them what was sent. Of any other only the status is believed.
 */
async function explained(answer: Response): Promise<Response> {
	const { status } = answer;
	const shared = answer.headers.get('content-type')?.startsWith(TYPE)
		? shape(await textOf(answer, LONGEST_PROBLEM), status)
		: await answer.body?.cancel();
	// Revoked or expired a moment ago: to the caller that is no different from never known.
	if (shared?.type === `${PREFIX}unknown-caller`) return problem('no-key');
	// Ours was wrong, not the caller's.
	if (shared?.type === `${PREFIX}no-credential`) return problem('twin-refused');
	const headers = new Headers();
	for (const name of ['retry-after', 'allow', 'content-range']) {
		const value = answer.headers.get(name);
		if (value !== null) headers.set(name, value);
	}
	if (!shared) return problem(fromTwin(status), { headers });
	headers.set('content-type', TYPE);
	if (status === 401) headers.set('www-authenticate', 'Bearer');
	return new Response(JSON.stringify(shared), { status, headers });
}

const isText = (value: unknown): value is string => typeof value === 'string';

/** A problem document of the form that FastAPI and the door share, and nothing besides; or null. */
function shape(text: string | null, status: number) {
	try {
		const { type, title, detail, errors, error, ...rest } = JSON.parse(text ?? 'null');
		const known = isText(type) && /^urn:aitwin:problem:[a-z][a-z-]*$/.test(type) &&
			isText(title) && isText(detail) && rest.status === status;
		return known ? { type, title, status, detail, errors, error } : null;
	} catch {
		return null;
	}
}

/** The text of an answer, null when it has more than `max` bytes or breaks off. */
async function textOf(answer: Response, max: number): Promise<string | null> {
	let text = '';
	let size = 0;
	const decoder = new TextDecoder();
	try {
		for await (const chunk of answer.body ?? []) {
			if ((size += chunk.byteLength) > max) return null;
			text += decoder.decode(chunk, { stream: true });
		}
	} catch {
		return null;
	}
	return text;
}

/** A question that asks for JSON with JSON, and is answered at once or not at all. */
async function settle(path: string, body: unknown, caller: string, signal?: AbortSignal) {
	const limit = AbortSignal.timeout(PROMPT_MS);
	return await ask({
		method: 'POST',
		path,
		headers: new Headers({ 'content-type': 'application/json' }),
		body: JSON.stringify(body),
		caller,
		signal: signal ? AbortSignal.any([signal, limit]) : limit,
	});
}

/** Who shows a secret of this digest; null: nobody that FastAPI knows. */
export async function check(digest: string): Promise<Caller | null | Response> {
	const [answer, why] = await settle('/access/check', { digest }, SELF);
	if (!answer) return why;
	if (answer.ok) return await answer.json();
	if (answer.status !== 404) return await explained(answer);
	await answer.body?.cancel();
	return null;
}

export interface Login {
	code?: string;
	passphrase?: string;
	/** What the list of sessions calls it: "Chrome on macOS". */
	device?: string;
}

/** A new session, or the problem that kept it from being made. */
export async function login(
	asked: Login,
	signal: AbortSignal,
): Promise<{ session: string; expires_at: string } | Response> {
	const [answer, why] = await settle('/access/login', asked, SELF, signal);
	if (!answer) return why;
	return answer.ok ? await answer.json() : await explained(answer);
}

/** Ends the caller's session; a Response is the problem that kept it from ending. */
export async function logout(caller: Caller): Promise<Response | null> {
	const [answer, why] = await settle('/access/logout', {}, caller.id);
	if (!answer) return why;
	if (!answer.ok) return await explained(answer);
	await answer.body?.cancel();
	return null;
}
