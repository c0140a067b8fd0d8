/** A request that goes on to FastAPI: held to the limits of its route, then streamed both ways. */
import type { RequestEvent } from '@sveltejs/kit';
import { bounded, gone, hurried, isJson, refused } from './body.ts';
import { problem } from './problem.ts';
import { find, type Route, TEXT } from './routes.ts';
import { asked, pass } from './twin.ts';

/** Characters of a query: a text to search pairs for, a list of sentences to skip. */
const LONGEST_QUERY = 12_000;

type Event = Pick<RequestEvent, 'request' | 'locals' | 'url'>;

/** Passes `event` on to FastAPI's `path`, if there is such a route for its caller. */
export async function onward(event: Event, path: string): Promise<Response> {
	const { request, url } = event;
	const { route, allow } = find(request.method, path);
	if (!route) {
		return allow.length > 0
			? problem('wrong-method', { headers: { allow: allow.join(', ') } })
			: problem('not-found');
	}
	if (url.search.length > LONGEST_QUERY) return problem('too-large');
	return await through(event, route, path + url.search);
}

/** Passes `event` on by `route`, to `target` (a path with its query). */
async function through(
	{ request, locals: { caller } }: Event,
	route: Route,
	target: string,
): Promise<Response> {
	// The hooks let nobody else come as far as this; that they do is no reason to rely on it alone.
	if (caller === null) return problem('no-key');
	if (route.scope === 'owner' && caller.scope !== 'owner') return problem('not-allowed');

	const headers = asked(request.headers);
	const { method, signal } = request;
	if (route.takes === 'nothing') {
		headers.delete('content-type');
		const answer = await pass({ method, path: target, headers, caller, signal });
		return route.framed ? framed(answer) : answer;
	}
	const max = route.takes === 'json or form' && isJson(request.headers) ? TEXT : route.max;
	const no = refused(request.headers, route.takes, max);
	if (no) return no;
	let [over, late] = [false, false];
	const whole = bounded(request, max, () => over = true);
	const body = isJson(request.headers) ? hurried(whole, max, () => late = true) : whole;
	const answer = await pass({ method, path: target, headers, body, caller, signal });
	if (!over && !late) return answer;
	await answer.body?.cancel();
	return signal.aborted ? gone() : problem(over ? 'too-large' : 'too-slow');
}

/**
 * HTML that FastAPI made, for a frame of the page. What it may load it says itself, by hashes; here it
 * is held in a sandbox, where its script (sorting, searching) is of no origin and reaches nothing of ours.
 */
const FRAMED = [
	"default-src 'none'",
	"style-src 'unsafe-inline'",
	"script-src 'unsafe-inline'",
	'img-src data:',
	'media-src data:',
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'self'",
	'sandbox allow-scripts',
].join('; ');

function framed(answer: Response): Response {
	if (!answer.ok) return answer;
	answer.headers.set('content-security-policy', FRAMED);
	answer.headers.set('x-frame-options', 'SAMEORIGIN');
	return answer;
}
