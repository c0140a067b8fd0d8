import { expect, test, vi } from 'vitest';
import { type Caller, Callers, digest } from '../src/lib/server/callers.ts';
import { problem } from '../src/lib/server/problem.ts';
import { Rate } from '../src/lib/server/rates.ts';
import { cookie, deviceOf, sessionOf } from '../src/lib/server/session.ts';

const ANA: Caller = { id: 'token:1', kind: 'token', name: 'shell', scope: 'use', expires_at: null };

/** Callers over a store that a test can change, at a time that it sets. */
function store(first: Caller | null | Response) {
	const said = { now: 0, answer: first };
	const check = vi.fn((_: string) =>
		Promise.resolve(said.answer instanceof Response ? said.answer.clone() : said.answer)
	);
	return { said, check, callers: new Callers(check, () => said.now) };
}

test('a digest is SHA-256 in hex, as FastAPI keeps it', () => {
	expect(digest('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a caller is asked for once a minute, however often and at once it comes', async () => {
	const { said, check, callers } = store(ANA);
	expect(await Promise.all([callers.find('a'), callers.find('a')])).toEqual([ANA, ANA]);
	said.now = 59_999;
	expect(await callers.find('a')).toEqual(ANA);
	expect(check).toHaveBeenCalledTimes(1);
	said.now = 60_000;
	await callers.find('a');
	expect(check).toHaveBeenCalledTimes(2);
});

test('where FastAPI does not see the request it is asked in any case', async () => {
	const { said, check, callers } = store(ANA);
	await callers.find('a');
	said.answer = null;
	expect(await callers.find('a')).toEqual(ANA);
	expect(await callers.find('a', true)).toBeNull();
	expect(await callers.find('a')).toBeNull();
	expect(check).toHaveBeenCalledTimes(3);
});

test('who is unknown is not remembered, nor who was forgotten or has expired', async () => {
	const { said, check, callers } = store(null);
	expect(await callers.find('a')).toBeNull();
	expect(callers.knows('a')).toBe(false);
	said.answer = { ...ANA, expires_at: new Date(1_000).toISOString() };
	expect(await callers.find('a')).toEqual(said.answer);
	said.now = 1_000;
	said.answer = null;
	expect(await callers.find('a')).toBeNull();

	said.answer = ANA;
	await callers.find('b');
	callers.forget('token:1');
	said.answer = null;
	expect(await callers.find('b')).toBeNull();
	expect(check).toHaveBeenCalledTimes(5);
});

test('while FastAPI does not answer, who was known still is; nobody new', async () => {
	const { said, callers } = store(ANA);
	await callers.find('a');
	said.now = 600_000;
	said.answer = problem('twin-down');
	expect(await callers.find('a')).toEqual(ANA);
	for (const found of await Promise.all([callers.find('b'), callers.find('b')])) {
		expect((await (found as Response).json()).status).toBe(503);
	}
	said.answer = null;
	expect(await callers.find('a')).toBeNull();
});

test('strangers do not fill the memory', async () => {
	const { callers } = store(ANA);
	for (let i = 0; i < 1_001; i++) await callers.find(`${i}`);
	expect([callers.knows('0'), callers.knows('1'), callers.knows('1000')]).toEqual([
		false,
		true,
		true,
	]);
});

test('a rate lets a burst through, then one after another, each key for itself', () => {
	let now = 0;
	const rate = new Rate(2, 3, () => now);
	expect([1, 2, 3, 4].map(() => rate.take('a'))).toEqual([0, 0, 0, 1]);
	expect(rate.take('b')).toBe(0);
	now = 499;
	expect(rate.wait('a')).toBe(1);
	now = 500;
	expect(rate.wait('a')).toBe(0);
	expect([rate.take('a'), rate.take('a')]).toEqual([0, 1]);
	rate.forgive('a');
	expect([1, 2, 3, 4].map(() => rate.take('a'))).toEqual([0, 0, 0, 1]);
	// After a long time no more than a burst.
	now = 1e9;
	expect([1, 2, 3, 4].map(() => rate.take('a'))).toEqual([0, 0, 0, 1]);
});

test('a slow rate says how long to wait', () => {
	const rate = new Rate(1 / 12, 1, () => 0);
	expect([rate.take('a'), rate.take('a')]).toEqual([0, 12]);
});

const HTTP = { host: '127.0.0.1:8787', network: '127.0.0.1', https: false, remote: false };
const HTTPS = { ...HTTP, host: 'twin.example.org', https: true, remote: true };

test('the cookie is for this site and for no script; with https for nothing else', () => {
	const until = new Date(Date.now() + 3_600_500).toISOString();
	expect(cookie(HTTP, 'abc', until)).toBe(
		'twin_session_8787=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600',
	);
	expect(cookie(HTTPS, 'abc', until)).toBe(
		'__Host-twin_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure',
	);
	expect(cookie(HTTP, null)).toContain('twin_session_8787=; Path=/');
	expect(cookie(HTTP, null)).toContain('Max-Age=0');
});

test('the session is read from its own cookie', () => {
	const read = (value: string, way = HTTP) => sessionOf(new Headers({ cookie: value }), way);
	expect(read('a=b; twin_session_8787=abc; c=d')).toBe('abc');
	const others = ['', 'twin_session_8787=', 'xtwin_session_8787=abc', 'twin_session_8787'];
	// Another twin on this machine, to whose port the browser gives the same cookies.
	for (const none of [...others, 'twin_session_8788=abc', 'twin_session=abc']) {
		expect(read(none)).toBeNull();
	}
	expect(sessionOf(new Headers({ cookie: 'twin_session=a' }), { ...HTTP, host: 'localhost' })).toBe(
		'a',
	);
	// What was set without encryption, by whomever, opens nothing with it.
	expect(read('twin_session=abc', HTTPS)).toBeNull();
	expect(read('__Host-twin_session=abc', HTTPS)).toBe('abc');
	expect(sessionOf(new Headers(), HTTP)).toBeNull();
});

test.each([
	[
		'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) ' +
		'Version/18.1 Safari/605.1.15',
		'Safari on macOS',
	],
	[
		'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) ' +
		'Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0',
		'Edge on Windows',
	],
	['Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0', 'Firefox on Android'],
	['curl/8.5.0', 'A browser'],
])('a browser is known by its name', (agent, name) => {
	expect(deviceOf(new Headers({ 'user-agent': agent }))).toBe(name);
});
