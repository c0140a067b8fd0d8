/** Who may come in: decisions on a request alone, without I/O. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Kind } from './problem.ts';

/** A name that an attacker's DNS could point here is none of these (DNS rebinding). */
const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/;
const SAFE = new Set(['GET', 'HEAD']);

export const isLoopback = (host: string | null) => LOOPBACK.test(host ?? '');

/** The page of the gateway itself, a program (which sends neither header), or the address bar. */
export function isOwnSite(headers: Headers): boolean {
	const site = headers.get('sec-fetch-site');
	if (site !== null && site !== 'same-origin' && site !== 'none') return false;
	const origin = headers.get('origin');
	if (origin === null) return true;
	return URL.canParse(origin) && new URL(origin).host === headers.get('host');
}

export function bearer(headers: Headers): string | null {
	return /^Bearer ([^\s]+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Compares digests, so that neither content nor length of the key shows in the time taken. */
export function keyring(key: string): (candidate: string) => boolean {
	const expected = digest(key);
	return (candidate) => timingSafeEqual(digest(candidate), expected);
}

/**
 * Why a request must not pass, or null. The page itself is public (it holds nothing of the owner's);
 * all of /api asks for the key. There is no cookie: nothing that a browser adds by itself lets anyone in.
 */
export function refusal(request: Request, isKey: (candidate: string) => boolean): Kind | null {
	const { headers, method } = request;
	if (!isLoopback(headers.get('host'))) return 'wrong-host';
	const api = isApi(request);
	if ((api || !SAFE.has(method)) && !isOwnSite(headers)) return 'cross-site';
	if (!api) return null;
	const candidate = bearer(headers);
	return candidate !== null && isKey(candidate) ? null : 'no-key';
}

export function isApi(request: Request): boolean {
	const { pathname } = new URL(request.url);
	return pathname === '/api' || pathname.startsWith('/api/');
}
