import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { AccessCheck } from '../src/lib/server/access.ts';

const RSA = {
	name: 'RSASSA-PKCS1-v1_5',
	hash: 'SHA-256',
	modulusLength: 2048,
	publicExponent: Uint8Array.of(1, 0, 1),
};
const folder = mkdtempSync(join(tmpdir(), 'access-'));
const file = join(folder, 'keys.json');
const NOW = 1_800_000_000;
const AUDIENCE = 'a'.repeat(64);
const GOOD = {
	iss: 'https://home.cloudflareaccess.com',
	aud: [AUDIENCE],
	exp: NOW + 300,
	nbf: NOW - 1,
	email: 'owner@example.org',
};

let first: CryptoKeyPair;
let second: CryptoKeyPair;

beforeAll(async () => {
	const make = () => crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
	[first, second] = await Promise.all([make(), make()]) as [CryptoKeyPair, CryptoKeyPair];
});
afterAll(() => rmSync(folder, { recursive: true }));

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function proof(claims: object, pair = first, header: object = { alg: 'RS256', kid: 'one' }) {
	const text = `${part(header)}.${part(claims)}`;
	const signed = await crypto.subtle.sign(RSA, pair.privateKey, new TextEncoder().encode(text));
	return `${text}.${Buffer.from(signed).toString('base64url')}`;
}

async function publish(keys: Record<string, CryptoKeyPair>) {
	const jwks = Object.entries(keys).map(async ([kid, { publicKey }]) => ({
		...await crypto.subtle.exportKey('jwk', publicKey),
		kid,
	}));
	writeFileSync(file, JSON.stringify({ keys: await Promise.all(jwks) }));
}

/** A check, and the time that it believes in (seconds). */
function checked() {
	const clock = { now: NOW };
	const access = { team: 'home', audience: AUDIENCE, keys: file };
	return { clock, check: new AccessCheck(access, () => clock.now * 1000) };
}

test('a proof that Access made for this application is taken', async () => {
	await publish({ one: first });
	const { check } = checked();
	expect(await check.admits(await proof(GOOD))).toBe(true);
	expect(await check.admits(await proof({ ...GOOD, aud: AUDIENCE }))).toBe(true);
	expect(await check.admits(await proof({ ...GOOD, exp: NOW - 59 }))).toBe(true);
});

test.each<[string, object]>([
	['another application', { aud: ['b'.repeat(64)] }],
	['no application', { aud: undefined }],
	['another team', { iss: 'https://evil.cloudflareaccess.com' }],
	['no team', { iss: undefined }],
	['a proof that is over', { exp: NOW - 61 }],
	['a proof without end', { exp: undefined }],
	['an end that is no number', { exp: `${NOW + 300}` }],
	['a proof of tomorrow', { nbf: NOW + 3600 }],
])('%s is not', async (_, wrong) => {
	await publish({ one: first });
	expect(await checked().check.admits(await proof({ ...GOOD, ...wrong }))).toBe(false);
});

test('a proof that somebody else signed, or nobody, is not', async () => {
	await publish({ one: first });
	const { check } = checked();
	expect(await check.admits(await proof(GOOD, second))).toBe(false);
	expect(await check.admits(await proof(GOOD, first, { alg: 'RS256', kid: 'two' }))).toBe(false);
	expect(await check.admits(await proof(GOOD, first, { alg: 'none', kid: 'one' }))).toBe(false);
	expect(await check.admits(await proof(GOOD, first, { alg: 'HS256', kid: 'one' }))).toBe(false);
	const [head, , signature] = (await proof(GOOD)).split('.');
	expect(await check.admits(`${head}.${part({ ...GOOD, exp: NOW + 999 })}.${signature}`)).toBe(
		false,
	);
	expect(await check.admits(`${head}.${part(GOOD)}.`)).toBe(false);
	for (const none of [null, '', 'a.b', 'a.b.c', 'a.b.c.d', '.'.repeat(9_000), '{}.{}.{}']) {
		expect(await check.admits(none)).toBe(false);
	}
});

test('new keys are found when they are needed, old ones forgotten in time', async () => {
	await publish({ one: first });
	const { clock, check } = checked();
	const old = await proof(GOOD);
	const fresh = await proof(GOOD, second, { alg: 'RS256', kid: 'two' });
	expect(await check.admits(fresh)).toBe(false);
	await publish({ two: second });
	// Not at once: a file is not read for each guess.
	expect(await check.admits(fresh)).toBe(false);
	expect(await check.admits(old)).toBe(true);
	clock.now += 11;
	expect(await check.admits(fresh)).toBe(true);
	expect(await check.admits(old)).toBe(false);
});

test('a file that cannot be read lets nobody in, and takes away no keys', async () => {
	const said = vi.spyOn(console, 'error').mockImplementation(() => {});
	writeFileSync(file, '{"keys": [');
	const { clock, check } = checked();
	expect(await check.admits(await proof(GOOD))).toBe(false);
	expect(said).toHaveBeenCalledOnce();
	await publish({ one: first });
	clock.now += 11;
	expect(await check.admits(await proof(GOOD))).toBe(true);
	writeFileSync(file, '');
	clock.now += 301;
	expect(await check.admits(await proof({ ...GOOD, exp: clock.now + 60 }))).toBe(true);
	said.mockRestore();
});
