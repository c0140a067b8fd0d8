import { redirect, type RequestEvent } from '@sveltejs/kit';
import {
	type Handle,
	type HandleServerError,
	sequence,
	type ServerInit,
} from '@sveltejs/kit/hooks';
import { callers, door, isAdmitted, isProgram, open, whoAsks } from '#lib/server/door.ts';
import { gone, isBroken } from '#lib/server/body.ts';
import { fromKit, problem, TYPE } from '#lib/server/problem.ts';
import { isOwnSite, isSafe, wayOf } from '#lib/server/way.ts';

const HEADERS = {
	'cache-control': 'no-store',
	// Pages bring their own, with a nonce; nothing else may load or be framed.
	'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
	'cross-origin-opener-policy': 'same-origin',
	'cross-origin-resource-policy': 'same-origin',
	'permissions-policy':
		'camera=(), display-capture=(), geolocation=(), microphone=(self), payment=(), usb=()',
	// 'no-referrer' would make browsers send `Origin: null` with forms.
	'referrer-policy': 'same-origin',
	'x-content-type-options': 'nosniff',
	'x-frame-options': 'DENY',
};

/** As the caller wrote it; `event.url` may be another in requests of the framework's own. */
const pathOf = (request: Request) => new URL(request.url).pathname;

/**
 * Routes of programs: problems in JSON, and nothing without a caller. All else is the page. Told by the
 * route, too, which the framework finds for a path that is written in another way (`/%61pi/`).
 */
const isApi = ({ request, route }: RequestEvent) =>
	[pathOf(request), route.id ?? ''].some((path) => /^\/(api|v1)(\/|$)/.test(path));

/** What is open to who is not known: the form that makes them known, by page and by route. */
const isLogin = (request: Request) => /^\/login(\/__data\.json)?$/.test(pathOf(request));
const isSession = (request: Request) => pathOf(request) === '/api/session';
/** Answered here, or by FastAPI without a look at who asks. */
const isUnguarded = (request: Request) => isSession(request) || pathOf(request) === '/api/health';

const headers: Handle = async ({ event, resolve }) => {
	const response = await resolve(event);
	for (const [name, value] of Object.entries(HEADERS)) {
		if (!response.headers.has(name)) response.headers.set(name, value);
	}
	return response;
};

/** Under which name, and past whom, before anything else is looked at. */
const arrival: Handle = async ({ event, resolve }) => {
	const { headers } = event.request;
	const way = wayOf(headers, event.getClientAddress(), door);
	if (way === null) return problem('wrong-host');
	if (!await isAdmitted(headers, way)) return problem('no-access');
	event.locals.way = way;
	event.locals.caller = null;
	return await resolve(event);
};

/** Whatever fails under /api, here or in the framework (no route, wrong method), is a problem too. */
const problems: Handle = async ({ event, resolve }) => {
	if (!isApi(event)) return await resolve(event);
	try {
		const response = await resolve(event);
		const { status } = response;
		if (status < 400 || status === 499) return response;
		if (response.headers.get('content-type') === TYPE) return response;
		const allow = response.headers.get('allow');
		return problem(fromKit(status), allow ? { headers: { allow } } : {});
	} catch (error) {
		if (hasLeft(event.request, error)) return gone();
		report(error, event.route.id);
		return problem('gateway-failed');
	}
};

const api: Handle = async ({ event, resolve }) => {
	const { request, locals: { way } } = event;
	if (!isApi(event)) return await resolve(event);
	if (!isProgram(request.headers) && !isOwnSite(request.headers, request.method, way)) {
		return problem('cross-site');
	}
	// Who signs in may still have the cookie of a session that ended: it says nothing about them.
	if (isSession(request) && request.method === 'POST') return await resolve(event);
	const caller = await whoAsks(request, way, isUnguarded(request));
	if (caller instanceof Response) return caller;
	if (caller === null && !isSession(request)) return problem('no-key');
	event.locals.caller = caller;
	const response = await resolve(event);
	// FastAPI looks at every request: it was revoked a moment ago, so the memory of it is wrong.
	if (response.status === 401 && caller) callers.forget(caller.id);
	return response;
};

/** The page holds nothing of the owner's; who has no session is sent to where one is made. */
const page: Handle = async ({ event, resolve }) => {
	const { request, locals, url } = event;
	if (isApi(event)) return await resolve(event);
	// A link from elsewhere may open it, but nothing else may come from there.
	if (!isSafe(request.method) && !isOwnSite(request.headers, request.method, locals.way)) {
		return problem('cross-site');
	}
	if (isLogin(request)) return await resolve(event);
	const caller = await whoAsks(request, locals.way, true);
	if (caller === null) {
		const next = url.pathname + url.search;
		const location = next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`;
		// The framework's own requests for data want it in their own form.
		if (event.isDataRequest) redirect(303, location);
		return new Response(null, { status: 303, headers: { location } });
	}
	// While FastAPI is down the page still opens, and says so.
	if (caller instanceof Response && caller.status < 500) return caller;
	locals.caller = caller instanceof Response ? null : caller;
	return await resolve(event);
};

export const handle = sequence(headers, arrival, problems, api, page);

/** Nobody waits for the answer: what then fails is no fault of ours. */
const hasLeft = (request: Request, error: unknown) => request.signal.aborted || isBroken(error);

/** Logs where it failed, never what was being written. */
function report(error: unknown, route: string | null) {
	console.error(`gateway: ${error instanceof Error ? error.name : 'error'} in ${route}`);
}

export const handleError: HandleServerError = (caught) => {
	if (caught.kind !== 'unknown' || hasLeft(caught.event.request, caught.error)) return;
	report(caught.error, caught.event.route.id);
};

export const init: ServerInit = open;
