/** What the door remembers while it runs: who was known, who came how often. One of each. */
import {
	TWIN_ACCESS_AUD,
	TWIN_ACCESS_KEYS,
	TWIN_ACCESS_TEAM,
	TWIN_HOSTS,
	TWIN_PROXY,
	TWIN_RATE,
} from '$app/env/private';
import { AccessCheck } from './access.ts';
import { type Caller, Callers, digest } from './callers.ts';
import { problem } from './problem.ts';
import { Rate } from './rates.ts';
import { sessionOf } from './session.ts';
import { check, logout } from './twin.ts';
import type { Door, Way } from './way.ts';

export const door: Door = { hosts: new Set(TWIN_HOSTS), proxy: TWIN_PROXY };

export const callers = new Callers(check);

/** One who is known: a page that opens asks a dozen things at once. */
const known = new Rate(TWIN_RATE, TWIN_RATE * 4);
/**
 * What is shown and not known. By digest: a program that still shows a token that was revoked pays for
 * itself alone. By address, far wider: guessing is hopeless, but each guess asks FastAPI, and all
 * programs of this machine have one address.
 */
const unknown = new Rate(1, 20);
const guesses = new Rate(50, 500);
/**
 * Passphrases by address, and all together: they can be guessed, and each costs FastAPI a moment. This
 * machine and what comes from others count apart, so no stranger keeps the owner waiting at home.
 */
const passphrases = new Rate(1 / 12, 5);
const allPassphrases = new Rate(1 / 3, 20);
/** Codes have 256 bits, so only the work is limited: passphrases that were wrong do not stop them. */
const codes = new Rate(1, 20);

const parts = [TWIN_ACCESS_TEAM, TWIN_ACCESS_AUD, TWIN_ACCESS_KEYS].filter(Boolean).length;
if (parts > 0 && (parts < 3 || TWIN_PROXY !== 'cloudflare')) {
	throw new Error(
		'TWIN_ACCESS_TEAM, TWIN_ACCESS_AUD and TWIN_ACCESS_KEYS belong together, and to TWIN_PROXY=cloudflare.',
	);
}
const access = TWIN_ACCESS_TEAM
	? new AccessCheck({ team: TWIN_ACCESS_TEAM, audience: TWIN_ACCESS_AUD, keys: TWIN_ACCESS_KEYS })
	: null;

const tooMany = (seconds: number) =>
	problem('too-many-tries', { headers: { 'retry-after': `${seconds}` } });

/** Before the first request. */
export async function open() {
	if (TWIN_HOSTS.length > 0 && TWIN_PROXY === 'none') {
		console.warn(
			'gateway: TWIN_HOSTS is set and TWIN_PROXY is not: behind a tunnel, set TWIN_PROXY to cloudflare ' +
				'or forwarded. Without it cookies are not bound to https, and all callers share one rate.',
		);
	}
	await access?.prepare();
}

/** Whether Cloudflare Access let this request through, where it stands before it. */
export async function isAdmitted(headers: Headers, way: Way): Promise<boolean> {
	if (!access || !way.remote) return true;
	return await access.admits(headers.get('cf-access-jwt-assertion'));
}

export function bearer(headers: Headers): string | null {
	return /^Bearer +([^\s]+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/** Whether a program asks: no browser shows a token by itself, so where it comes from does not matter. */
export const isProgram = (headers: Headers) => headers.has('authorization');

/**
 * Who asks, by the token or else the cookie that is shown; null: nobody who is known. A Response says
 * why a request goes no further, whoever it is.
 */
export async function whoAsks(
	{ headers }: Request,
	way: Way,
	/** Whether FastAPI is asked in any case, since it will not see the request itself. */
	now: boolean,
): Promise<Caller | null | Response> {
	const secret = isProgram(headers) ? bearer(headers) : sessionOf(headers, way);
	if (!secret) return null;

	const key = digest(secret);
	if (!callers.knows(key)) {
		const wait = unknown.wait(key) || guesses.wait(way.network);
		if (wait > 0) return tooMany(wait);
	}
	const caller = await callers.find(key, now);
	if (caller === null) {
		unknown.take(key);
		guesses.take(way.network);
	}
	if (caller === null || caller instanceof Response) return caller;
	const wait = known.take(caller.id);
	return wait > 0 ? tooMany(wait) : caller;
}

/** Null: may try to log in; else the Response that says when. */
export function mayLogIn(way: Way, by: 'code' | 'passphrase'): Response | null {
	const wait = by === 'code'
		? codes.take(way.network)
		: passphrases.take(way.network) || allPassphrases.take(way.remote ? 'remote' : 'here');
	return wait > 0 ? tooMany(wait) : null;
}

/** It was the owner: mistakes before it do not count. */
export function loggedIn(way: Way) {
	codes.forgive(way.network);
	passphrases.forgive(way.network);
}

/** The session that a browser shows, while it signs in once more: nobody needs that any longer. */
export async function leave(headers: Headers, way: Way) {
	const secret = sessionOf(headers, way);
	const old = secret ? await callers.find(digest(secret)) : null;
	if (old === null || old instanceof Response) return;
	await logout(old);
	callers.forget(old.id);
}
