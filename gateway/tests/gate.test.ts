import { describe, expect, test } from 'vitest';
import { bearer, isLoopback, isOwnSite, keyring, refusal } from '../src/lib/server/gate.ts';

const KEY = 'k'.repeat(43);
const isKey = keyring(KEY);

function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
	return refusal(
		new Request(`http://127.0.0.1:8787${path}`, {
			method,
			headers: { host: '127.0.0.1:8787', ...headers },
		}),
		isKey,
	);
}
const key = { authorization: `Bearer ${KEY}` };

test.each(['127.0.0.1', '127.0.0.1:8787', 'localhost:1', '[::1]:8787'])('%s is ours', (host) => {
	expect(isLoopback(host)).toBe(true);
});

test.each([
	null,
	'',
	'evil.example',
	'127.0.0.1.evil.example',
	'localhost.evil.example:8787',
	'127.0.0.1:8787@evil.example',
	'127.0.0.1:8787\nevil.example',
	'0.0.0.0:8787',
	'127.0.0.2',
])('%j is not ours', (host) => {
	expect(isLoopback(host)).toBe(false);
});

describe('the site that asks', () => {
	const own = (headers: Record<string, string>) =>
		isOwnSite(new Headers({ host: '127.0.0.1:8787', ...headers }));

	test('may be our page, or a program', () => {
		expect(own({})).toBe(true);
		expect(own({ 'origin': 'http://127.0.0.1:8787', 'sec-fetch-site': 'same-origin' })).toBe(true);
		expect(own({ 'sec-fetch-site': 'none' })).toBe(true);
	});

	test.each<Record<string, string>>([
		{ origin: 'https://evil.example' },
		{ origin: 'null' },
		{ origin: '' },
		{ origin: 'http://127.0.0.1:9999' },
		{ origin: 'http://localhost:8787' },
		{ 'sec-fetch-site': 'cross-site' },
		{ 'sec-fetch-site': 'same-site' },
		{ 'origin': 'http://127.0.0.1:8787', 'sec-fetch-site': 'cross-site' },
	])('may not be another: %j', (headers) => {
		expect(own(headers)).toBe(false);
	});
});

test('a bearer token is one word after its scheme', () => {
	expect(bearer(new Headers({ authorization: 'Bearer abc' }))).toBe('abc');
	expect(bearer(new Headers({ authorization: 'bearer abc' }))).toBe('abc');
	for (const not of ['abc', 'Basic abc', 'Bearer', 'Bearer a b']) {
		expect(bearer(new Headers({ authorization: not }))).toBeNull();
	}
	expect(bearer(new Headers())).toBeNull();
});

test('only the key is the key', () => {
	expect(isKey(KEY)).toBe(true);
	for (const not of ['', 'k', KEY + 'k', KEY.toUpperCase()]) expect(isKey(not)).toBe(false);
});

describe('a request', () => {
	test('for the page passes without a key, also by a link from elsewhere', () => {
		expect(ask('/')).toBeNull();
		expect(ask('/', { 'sec-fetch-site': 'cross-site' })).toBeNull();
	});

	test('for the API passes with the key', () => {
		expect(ask('/api/health', key)).toBeNull();
		expect(ask('/api/tts/lora/generate', key, 'POST')).toBeNull();
	});

	test('for the API without the key does not', () => {
		expect(ask('/api/health')).toBe('no-key');
		expect(ask('/api')).toBe('no-key');
		expect(ask('/api/health', { authorization: 'Bearer wrong' })).toBe('no-key');
		expect(ask('/api/nothing', {}, 'POST')).toBe('no-key');
	});

	test('from another site does not pass, key or not', () => {
		expect(ask('/api/health', { ...key, origin: 'https://evil.example' })).toBe('cross-site');
		expect(ask('/', { 'sec-fetch-site': 'cross-site' }, 'POST')).toBe('cross-site');
		expect(ask('/api/health', { origin: 'https://evil.example' }, 'OPTIONS')).toBe('cross-site');
	});

	test('under another name does not pass, whatever it carries', () => {
		expect(ask('/', { host: 'evil.example' })).toBe('wrong-host');
		expect(ask('/api/health', { ...key, host: 'evil.example:8787' })).toBe('wrong-host');
	});
});
