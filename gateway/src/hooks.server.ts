import { TWIN_KEY } from '$app/env/private';
import { type Handle, type HandleServerError, sequence } from '@sveltejs/kit/hooks';
import { isApi, keyring, refusal } from '#lib/server/gate.ts';
import { fromKit, problem, TYPE } from '#lib/server/problem.ts';

const isKey = keyring(TWIN_KEY);

const HEADERS = {
	'cache-control': 'no-store',
	// Pages bring their own, with a nonce; nothing else may load or be framed.
	'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
	'cross-origin-opener-policy': 'same-origin',
	'cross-origin-resource-policy': 'same-origin',
	'permissions-policy': 'camera=(), geolocation=(), microphone=()',
	// 'no-referrer' would make browsers send `Origin: null` with forms.
	'referrer-policy': 'same-origin',
	'x-content-type-options': 'nosniff',
	'x-frame-options': 'DENY',
};

const headers: Handle = async ({ event, resolve }) => {
	const response = await resolve(event);
	for (const [name, value] of Object.entries(HEADERS)) {
		if (!response.headers.has(name)) response.headers.set(name, value);
	}
	return response;
};

const gate: Handle = ({ event, resolve }) => {
	const kind = refusal(event.request, isKey);
	return kind ? problem(kind) : resolve(event);
};

/** Whatever the framework refuses under /api (no route, wrong method, a crash) is a problem too. */
const problems: Handle = async ({ event, resolve }) => {
	const response = await resolve(event);
	const { status } = response;
	if (status < 400 || status === 499 || !isApi(event.request)) return response;
	if (response.headers.get('content-type') === TYPE) return response;
	const allow = response.headers.get('allow');
	return problem(fromKit(status), allow ? { headers: { allow } } : {});
};

export const handle = sequence(headers, gate, problems);

/** Logs where it failed, never what was being written. */
export const handleError: HandleServerError = (caught) => {
	if (caught.kind !== 'unknown') return;
	const name = caught.error instanceof Error ? caught.error.name : 'error';
	console.error(`gateway: ${name} in ${caught.event.route.id}`);
};
