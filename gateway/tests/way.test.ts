import { describe, expect, test } from 'vitest';
import {
	type Door,
	isLoopback,
	isOwnSite,
	networkOf,
	type Way,
	wayOf,
} from '../src/lib/server/way.ts';

const HERE = '127.0.0.1:8787';
const shut: Door = { hosts: new Set(), proxy: 'none' };
const names = new Set(['twin.example.org', 'mac.tail.ts.net:8443']);
const tunnel: Door = { hosts: names, proxy: 'cloudflare' };
const serve: Door = { hosts: names, proxy: 'forwarded' };

const come = (door: Door, headers: Record<string, string>, peer = '127.0.0.1') =>
	wayOf(new Headers({ host: HERE, ...headers }), peer, door);

test.each(['127.0.0.1', '127.0.0.1:8787', 'localhost:1', '[::1]:8787'])('%s is ours', (host) => {
	expect(isLoopback(host)).toBe(true);
	expect(come(shut, { host })?.host).toBe(host);
});

test.each([
	'',
	'evil.example',
	'127.0.0.1.evil.example',
	'localhost.evil.example:8787',
	'localhost.',
	'127.0.0.1:8787@evil.example',
	'0.0.0.0:8787',
	'127.0.0.2',
	'twin.example.org',
])('%j is not ours (DNS rebinding)', (host) => {
	expect(come(shut, { host })).toBeNull();
});

test('the names that the owner opened are ours, with their port or any', () => {
	for (const host of ['twin.example.org', 'Twin.Example.ORG', 'twin.example.org:8787']) {
		expect(come(tunnel, { host })?.host).toBe(host.toLowerCase());
	}
	expect(come(tunnel, { host: 'mac.tail.ts.net:8443' })).not.toBeNull();
	for (const host of ['mac.tail.ts.net', 'mac.tail.ts.net:1', 'x.twin.example.org']) {
		expect(come(tunnel, { host })).toBeNull();
	}
});

const FORGED = {
	'cf-connecting-ip': '203.0.113.9',
	'x-forwarded-for': '203.0.113.9',
	'x-forwarded-host': 'twin.example.org',
	'x-forwarded-proto': 'https',
};

test('nothing that a proxy would say is believed where there is none', () => {
	const direct = { host: HERE, network: '127.0.0.1', https: false, remote: false };
	expect(come(shut, FORGED)).toEqual(direct);
	// Nor from a hop that is not on this machine.
	expect(come(serve, FORGED, '192.0.2.1')).toEqual({ ...direct, network: '192.0.2.1' });
	expect(come(tunnel, FORGED, '192.0.2.1')).toEqual({ ...direct, network: '192.0.2.1' });
});

test('a rebound name is not ours, whatever its page says of a proxy', () => {
	for (const door of [shut, tunnel, serve]) {
		expect(come(door, { ...FORGED, host: 'evil.example' })).toBeNull();
	}
});

test('cloudflared tells who is behind it, also under the name of this machine', () => {
	const told = { 'cf-connecting-ip': '203.0.113.9', 'x-forwarded-proto': 'https' };
	expect(come(tunnel, { ...told, host: 'twin.example.org' })).toEqual({
		host: 'twin.example.org',
		network: '203.0.113.9',
		https: true,
		remote: true,
	});
	expect(come(tunnel, { 'cf-ray': '8f-FRA' })?.remote).toBe(true);
	expect(come(tunnel, told)?.remote).toBe(true);
	expect(come(tunnel, {})).toMatchObject({ remote: false, network: '127.0.0.1' });
	// A caller's own X-Forwarded-For, which Cloudflare hands on, names nobody.
	expect(come(tunnel, { ...told, 'x-forwarded-for': '198.51.100.1' })?.network).toBe('203.0.113.9');
});

test('of a list of hops the last is believed: the one that the proxy here wrote', () => {
	const told = {
		'x-forwarded-for': '198.51.100.1, 100.64.0.7',
		'x-forwarded-host': 'twin.example.org',
		'x-forwarded-proto': 'http, https',
	};
	expect(come(serve, told)).toEqual({
		host: 'twin.example.org',
		network: '100.64.0.7',
		https: true,
		remote: true,
	});
	expect(come(serve, { 'x-forwarded-host': 'evil.example' })).toBeNull();
	expect(come(serve, { 'x-forwarded-for': '<script>' })?.network).toBe('proxy');
	expect(come(serve, {})).toMatchObject({ host: HERE, remote: false });
});

describe('the site that asks', () => {
	const way: Way = { host: HERE, network: '127.0.0.1', https: false, remote: false };
	const own = (headers: Record<string, string>, method = 'POST', to = way) =>
		isOwnSite(new Headers(headers), method, to);

	test('may be our page', () => {
		expect(own({ 'origin': `http://${HERE}`, 'sec-fetch-site': 'same-origin' })).toBe(true);
		expect(own({ 'sec-fetch-site': 'same-origin' }, 'GET')).toBe(true);
		expect(own({ origin: `http://${HERE}` })).toBe(true);
	});

	test('may be the address bar or an old browser, for what changes nothing', () => {
		expect(own({ 'sec-fetch-site': 'none' }, 'GET')).toBe(true);
		expect(own({}, 'GET')).toBe(true);
		expect(own({ 'sec-fetch-site': 'none' })).toBe(false);
		expect(own({})).toBe(false);
	});

	test.each<Record<string, string>>([
		{ origin: 'https://evil.example' },
		{ origin: 'null' },
		{ origin: '' },
		{ origin: 'http://127.0.0.1:9999' },
		{ origin: 'http://localhost:8787' },
		{ 'sec-fetch-site': 'cross-site' },
		{ 'sec-fetch-site': 'same-site' },
		{ 'origin': `http://${HERE}`, 'sec-fetch-site': 'cross-site' },
	])('may not be another: %j', (headers) => {
		expect(own(headers)).toBe(false);
		expect(own(headers, 'GET')).toBe(false);
	});

	test('is the name and the encryption that the browser saw, not those of the last hop', () => {
		const remote = { ...way, host: 'twin.example.org', https: true, remote: true };
		expect(own({ origin: 'https://twin.example.org' }, 'POST', remote)).toBe(true);
		expect(own({ origin: 'http://twin.example.org' }, 'POST', remote)).toBe(false);
		expect(own({ origin: `http://${HERE}` }, 'POST', remote)).toBe(false);
	});
});

test.each([
	['203.0.113.9', '203.0.113.9'],
	['::ffff:203.0.113.9', '203.0.113.9'],
	['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
	['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
	['2001:db8::1', '2001:db8:0:0::/64'],
	['::1', '0:0:0:0::/64'],
	['1::', '1:0:0:0::/64'],
	['::::', '::::'],
])('%s counts as %s', (address, network) => {
	expect(networkOf(address)).toBe(network);
});
