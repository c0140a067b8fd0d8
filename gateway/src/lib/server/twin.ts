/** The one file that knows FastAPI: its address, its credential, its routes and its shapes. */
import { TWIN_TOKEN, TWIN_UPSTREAM } from '$app/env/private';
import { gone } from './body.ts';
import { fromTwin, problem } from './problem.ts';

export interface Task {
	/** What the owner wants to say. */
	prompt: string;
	/** What came in, when it is an answer. */
	context?: string;
	max_tokens?: number;
	temperature?: number;
}

/** Characters of one text that FastAPI takes. */
export const LONGEST = 100_000;

const socket = TWIN_UPSTREAM.startsWith('unix:') ? TWIN_UPSTREAM.slice('unix:'.length) : null;
// `.invalid` never resolves (RFC 6761): with a socket the host of the URL is only a label.
const base = socket ? 'http://twin.invalid' : TWIN_UPSTREAM;
const client = socket
	? Deno?.createHttpClient({ proxy: { transport: 'unix', path: socket } })
	: undefined;

/** A live twin answers /health at once; a model that loads does not stop it from answering. */
const HEALTH_TIMEOUT_MS = 5_000;

/** The twin's answer if it is good, else the problem document for it. */
async function ask(path: string, signal: AbortSignal, body?: unknown): Promise<Response> {
	const headers = new Headers({ authorization: `Bearer ${TWIN_TOKEN}` });
	if (body !== undefined) headers.set('content-type', 'application/json');
	const method = body === undefined ? 'GET' : 'POST';
	try {
		const init = { method, headers, body: JSON.stringify(body), redirect: 'error', signal, client };
		const answer = await fetch(base + path, init as RequestInit);
		if (answer.ok) return answer;
		await answer.body?.cancel();
		const wait = answer.headers.get('retry-after');
		return problem(fromTwin(answer.status), wait ? { headers: { 'retry-after': wait } } : {});
	} catch (error) {
		if (error instanceof DOMException && error.name === 'TimeoutError') {
			return problem('twin-silent');
		}
		return signal.aborted ? gone() : problem('twin-down');
	}
}

/** Hands on the answer with the headers that a caller may see. */
function relay(answer: Response): Response {
	const headers = new Headers();
	for (const [name, value] of answer.headers) {
		if (/^(content-type|content-length|content-disposition|x-voice)$/.test(name)) {
			headers.set(name, value);
		}
	}
	return new Response(answer.body, { status: answer.status, headers });
}

const isType = (answer: Response, type: string) =>
	answer.headers.get('content-type')?.startsWith(type) ?? false;

function completion({ prompt, context, ...options }: Task, stream: boolean) {
	const messages = [{ role: 'user', content: prompt }];
	return { model: 'twin', messages, ...(context && { context }), ...options, stream };
}

export async function health(signal: AbortSignal): Promise<Response> {
	const limit = AbortSignal.any([signal, AbortSignal.timeout(HEALTH_TIMEOUT_MS)]);
	const answer = await ask('/health', limit);
	return answer.ok ? relay(answer) : answer;
}

/** The whole draft: `{"text": …}`. */
export async function draft(task: Task, signal: AbortSignal): Promise<Response> {
	const answer = await ask('/v1/chat/completions', signal, completion(task, false));
	if (!answer.ok) return answer;
	const text = await answer.json().then((body) => body.choices[0].message.content, () => null)
		.catch(() => null);
	if (signal.aborted) return gone();
	return typeof text === 'string' ? Response.json({ text }) : problem('twin-failed');
}

/** The draft as it is written: OpenAI's event stream, passed on byte for byte. */
export async function draftStream(task: Task, signal: AbortSignal): Promise<Response> {
	const answer = await ask('/v1/chat/completions', signal, completion(task, true));
	if (!answer.ok) return answer;
	if (isType(answer, 'text/event-stream')) return relay(answer);
	await answer.body?.cancel();
	return problem('twin-failed');
}

/** Speech of `text`, as a WAV file. */
export async function speech(text: string, signal: AbortSignal): Promise<Response> {
	const body = { input: text, response_format: 'wav' };
	const answer = await ask('/v1/audio/speech', signal, body);
	if (!answer.ok) return answer;
	if (isType(answer, 'audio/')) return relay(answer);
	await answer.body?.cancel();
	return problem('twin-failed');
}
