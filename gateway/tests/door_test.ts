/** Who comes through the door of the built gateway, and how: see house. */
import assert from 'node:assert/strict';
import {
	as,
	AUTH,
	cookieOf,
	CREDENTIAL,
	kind,
	PRIVATE,
	raw,
	send,
	TOKENS,
	told,
	withStub,
} from './house.ts';

Deno.test('a program shows its token', async (t) => {
	await withStub(async (stub, url) => {
		const health = (headers: Record<string, string>) => fetch(`${url}/api/health`, { headers });
		const voices = (headers: Record<string, string>) => fetch(`${url}/api/voices`, { headers });
		const { host } = new URL(url);

		await t.step('401 without one, and with one that nobody knows', async () => {
			const bare = await health({});
			assert.equal(bare.headers.get('www-authenticate'), 'Bearer');
			assert.equal(await kind(bare), 'no-key');
			const wrong = [`Bearer ${CREDENTIAL}`, 'Bearer x', 'Basic x', 'Bearer', TOKENS.owner];
			for (const authorization of wrong) {
				assert.equal(await kind(await health({ authorization })), 'no-key');
			}
			// A token that is wrong is not made good by a cookie.
			assert.equal(
				await kind(await health({ authorization: 'Bearer x', ...cookieOf(url) })),
				'no-key',
			);
			assert.equal(stub.seen.length, 0);
		});

		await t.step('whom FastAPI knows is asked for once, and passes from everywhere', async () => {
			const before = stub.checks;
			const site = { 'origin': 'app://notes', 'sec-fetch-site': 'cross-site' };
			for (const more of [{}, site]) {
				assert.equal((await voices({ ...AUTH, ...more })).status, 200);
			}
			assert.equal(stub.checks, before + 1);
		});

		await t.step('revoked: refused at once, and not known again', async () => {
			assert.equal((await voices(as('use'))).status, 200);
			stub.revoked.add('token:use');
			stub.answer = () => told('unknown-caller', 401);
			const before = stub.checks;
			for (let i = 0; i < 2; i++) assert.equal(await kind(await voices(as('use'))), 'no-key');
			assert.equal(stub.checks, before + 1);
			stub.answer = () => Response.json({});
			stub.revoked.clear();
			// Where FastAPI does not look, the door asks.
			for (const path of ['health', 'session']) {
				assert.equal((await voices(as('use'))).status, 200);
				stub.revoked.add('token:use');
				const late = await fetch(`${url}/api/${path}`, { headers: as('use') });
				assert.equal(await kind(late), 'no-key');
				stub.revoked.clear();
			}
		});

		await t.step('421 under another name, whatever it carries', async () => {
			const key = `Authorization: ${AUTH.authorization}`;
			const get = 'GET /api/health HTTP/1.1';
			const forwarded = `X-Forwarded-Host: ${host}`;
			assert.equal((await raw(url, [get, `Host: ${host}`, key]))[0], 200);
			assert.equal((await raw(url, [get, 'Host: evil.example', key]))[0], 421);
			assert.equal((await raw(url, [get, 'Host: evil.example', key, forwarded]))[0], 421);
			assert.equal((await raw(url, ['GET / HTTP/1.1', 'Host: evil.example']))[0], 421);
			assert.equal((await raw(url, ['GET /login HTTP/1.1', 'Host: evil.example']))[0], 421);
		});

		await t.step(
			'one that shows the same wrong token is slowed down, and nobody else',
			async () => {
				let last = new Response();
				for (let i = 0; i < 40; i++) last = await health({ authorization: 'Bearer revoked' });
				assert.ok(Number(last.headers.get('retry-after')) >= 1);
				assert.equal(await kind(last), 'too-many-tries');
				const asked = stub.checks;
				await health({ authorization: 'Bearer revoked' });
				assert.equal(stub.checks, asked);
				// From the same address, and never seen before.
				assert.equal((await health(as('late'))).status, 200);
			},
		);
	});
});

Deno.test('the page has a session', async (t) => {
	await withStub(async (stub, url) => {
		const origin = new URL(url).origin;
		const own = { 'origin': origin, 'sec-fetch-site': 'same-origin' };
		const login = (body: unknown, headers: Record<string, string> = own) =>
			send(url, '/api/session', body, { headers: { ...headers, authorization: '' } });

		await t.step('without one it leads to the login', async () => {
			const visit = (path: string) => fetch(url + path, { redirect: 'manual' });
			for (
				const [path, to] of [
					['/', '/login'],
					['/voices/ana?x=1', '/login?next=%2Fvoices%2Fana%3Fx%3D1'],
				] as const
			) {
				const response = await visit(path);
				assert.equal(response.status, 303);
				assert.equal(response.headers.get('location'), to);
				assert.equal(response.headers.get('x-frame-options'), 'DENY');
			}
			assert.equal(await kind(await fetch(`${url}/api/session`)), 'no-key');
			assert.equal((await visit('/login')).status, 200);
			// With one that ended, too.
			const headers = cookieOf(url, 'old');
			assert.equal((await fetch(url, { redirect: 'manual', headers })).status, 303);
		});

		await t.step('a code or the passphrase makes one, from our own page alone', async () => {
			const until = new Date(Date.now() + 3_600_000).toISOString();
			stub.answer = () => Response.json({ session: TOKENS.session, expires_at: until });
			const made = await login({ code: 'a-code' });
			assert.equal(made.status, 201);
			assert.match(
				made.headers.get('set-cookie')!,
				/^twin_session_\d+=session-of[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3[56]\d\d$/,
			);
			assert.ok(!(await made.text()).includes(TOKENS.session));
			const { path, body, headers } = stub.seen.pop()!;
			assert.equal(path, '/access/login');
			assert.deepEqual(JSON.parse(body), { code: 'a-code', device: 'A browser' });
			assert.equal(headers.get('x-twin-caller'), 'gateway');

			for (const body of [{}, { code: 'a', passphrase: 'b' }, { code: 1 }]) {
				assert.equal(await kind(await login(body)), 'invalid-request');
			}
			const elsewhere: Record<string, string>[] = [
				{},
				{ origin: 'https://evil.example' },
				{ ...own, 'sec-fetch-site': 'cross-site' },
			];
			const { host } = new URL(url);
			for (const headers of elsewhere) {
				const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
				const json = ['Content-Type: application/json', 'Content-Length: 2'];
				const line = 'POST /api/session HTTP/1.1';
				const [status] = await raw(url, [line, `Host: ${host}`, ...json, ...lines], '{}');
				assert.equal(status, 403);
			}
			assert.equal(stub.seen.length, 0);
		});

		await t.step('what is wrong is told, and not what was typed', async () => {
			stub.answer = () => told('wrong-code', 401);
			assert.equal(await kind(await login({ passphrase: PRIVATE })), 'wrong-code');
		});

		await t.step('with it the page opens, and calls what it needs', async () => {
			stub.answer = () => Response.json({ status: 'ok' });
			const page = await fetch(url, { headers: cookieOf(url) });
			assert.equal(page.status, 200);
			await page.body?.cancel();
			const here = await fetch(`${url}/api/session`, { headers: { ...cookieOf(url), ...own } });
			assert.equal((await here.json()).kind, 'session');
			const get = await fetch(`${url}/api/voices`, { headers: { ...cookieOf(url), ...own } });
			assert.equal(get.status, 200);
			await get.body?.cancel();
			assert.equal(stub.seen.pop()!.headers.get('x-twin-caller'), 'session:0a1b');
		});

		await t.step('whoever signs in again leaves the session before', async () => {
			stub.answer = () => Response.json({ session: 'the-next', expires_at: null });
			stub.seen = [];
			const again = await login({ code: 'b-code' }, { ...own, ...cookieOf(url) });
			assert.equal(again.status, 201);
			await again.body?.cancel();
			const asked = stub.seen.map(({ path, headers }) => [path, headers.get('x-twin-caller')]);
			assert.deepEqual(asked, [['/access/login', 'gateway'], ['/access/logout', 'session:0a1b']]);
			stub.answer = () => Response.json({ status: 'ok' });
		});

		await t.step('another site can do nothing with it', async () => {
			stub.seen = [];
			const { host } = new URL(url);
			const cookie = `Cookie: ${cookieOf(url).cookie}`;
			const cases: [string, string[], number][] = [
				['POST /api/jobs/1/cancel', [], 403],
				['POST /api/jobs/1/cancel', ['Origin: https://evil.example'], 403],
				['POST /api/jobs/1/cancel', [`Origin: http://${host}`, 'Sec-Fetch-Site: cross-site'], 403],
				['POST /%61pi/jobs/1/cancel', ['Origin: https://evil.example'], 403],
				['GET /api/voices', ['Origin: https://evil.example'], 403],
				['GET /api/voices', ['Sec-Fetch-Site: cross-site'], 403],
				['GET /api/voices', ['Sec-Fetch-Site: same-site'], 403],
				['OPTIONS /api/voices', ['Origin: https://evil.example'], 403],
				['POST /', ['Origin: https://evil.example'], 403],
				['DELETE /api/session', ['Origin: null'], 403],
				['POST /api/jobs/1/cancel', [`Origin: http://${host}`], 200],
			];
			for (const [line, headers, expected] of cases) {
				const lines = [`${line} HTTP/1.1`, `Host: ${host}`, cookie, 'Content-Length: 0'];
				const [status, answer] = await raw(url, [...lines, ...headers]);
				assert.equal(status, expected, `${line} ${headers}: ${answer}`);
			}
			assert.equal(stub.seen.length, 1);
		});

		await t.step('it ends at FastAPI, and in the browser', async () => {
			stub.seen = [];
			const headers = { ...cookieOf(url), ...own };
			const visit = () => fetch(url, { redirect: 'manual', headers });
			assert.equal((await visit()).status, 200);
			const out = await fetch(`${url}/api/session`, { method: 'DELETE', headers });
			assert.equal(out.status, 204);
			assert.match(out.headers.get('set-cookie')!, /^twin_session_\d+=;.*Max-Age=0/);
			const { path, headers: seen } = stub.seen.pop()!;
			assert.equal(path, '/access/logout');
			assert.equal(seen.get('x-twin-caller'), 'session:0a1b');
			stub.revoked.add('session:0a1b');
			assert.equal(await kind(await fetch(`${url}/api/voices`, { headers })), 'no-key');
			assert.equal((await visit()).status, 303);
			assert.equal(stub.seen.length, 0);
		});

		await t.step('passphrases are few; a good code opens all the same', async () => {
			stub.answer = () => told('wrong-code', 401);
			let last = await login({ passphrase: 'a' });
			for (let i = 0; i < 6; i++) last = await login({ passphrase: `${i}` });
			assert.ok(Number(last.headers.get('retry-after')) > 1);
			assert.equal(await kind(last), 'too-many-tries');
			assert.ok(stub.seen.length <= 5, `${stub.seen.length}`);
			stub.answer = () => Response.json({ session: 'the-next', expires_at: null });
			const code = await login({ code: 'c-code' });
			assert.equal(code.status, 201);
			await code.body?.cancel();
		});
	});
});

Deno.test('the page comes with a strict policy, and nothing from elsewhere', async () => {
	await withStub(async (_, url) => {
		const response = await fetch(`${url}/login`);
		const html = await response.text();
		const policy = response.headers.get('content-security-policy')!;
		const nonce = /script-src 'self' 'nonce-([^']+)'/.exec(policy)?.[1];
		assert.ok(nonce && html.includes(`nonce="${nonce}"`));
		for (const part of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"]) {
			assert.ok(policy.includes(part), policy);
		}
		assert.ok(!/unsafe-(inline|eval)/.test(policy), policy);
		assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
		assert.equal(response.headers.get('x-frame-options'), 'DENY');
		assert.match(response.headers.get('permissions-policy')!, /microphone=\(self\)/);
		assert.equal(response.headers.get('set-cookie'), null);
		assert.ok(!/(src|href)="(https?:)?\/\//.test(html), 'an external asset');
		for (const [, path] of html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|svg))"/g)) {
			const asset = await fetch(new URL(path!, `${url}/login`));
			assert.equal(asset.status, 200, path);
			await asset.body?.cancel();
		}
	});
});

Deno.test('one caller has its rate', async () => {
	await withStub(async (_, url) => {
		const statuses = [];
		for (let i = 0; i < 12; i++) {
			const response = await fetch(`${url}/api/health`, { headers: AUTH });
			statuses.push(response.status);
			if (response.status === 429) assert.equal(response.headers.get('retry-after'), '1');
			await response.body?.cancel();
		}
		assert.deepEqual(statuses.slice(0, 4), [200, 200, 200, 200]);
		assert.ok(statuses.includes(429));
		const other = await fetch(`${url}/api/health`, { headers: as('use') });
		assert.equal(other.status, 200);
		await other.body?.cancel();
	}, { TWIN_RATE: '1' });
});

Deno.test('behind Cloudflare: the name, the address, https, and Access before all else', async (t) => {
	const RSA = {
		name: 'RSASSA-PKCS1-v1_5',
		hash: 'SHA-256',
		modulusLength: 2048,
		publicExponent: Uint8Array.of(1, 0, 1),
	};
	const pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']) as CryptoKeyPair;
	const audience = 'a'.repeat(64);
	const part = (value: unknown) =>
		new TextEncoder().encode(JSON.stringify(value)).toBase64({
			alphabet: 'base64url',
			omitPadding: true,
		});
	const now = Math.floor(Date.now() / 1000);
	const claims = { iss: 'https://home.cloudflareaccess.com', aud: [audience], exp: now + 300 };
	const text = `${part({ alg: 'RS256', kid: 'one' })}.${part(claims)}`;
	const signed = await crypto.subtle.sign(RSA, pair.privateKey, new TextEncoder().encode(text));
	const encoding = { alphabet: 'base64url', omitPadding: true } as const;
	const proof = `Cf-Access-Jwt-Assertion: ${text}.${new Uint8Array(signed).toBase64(encoding)}`;

	const folder = await Deno.makeTempDir();
	const jwk = { ...await crypto.subtle.exportKey('jwk', pair.publicKey), kid: 'one' };
	await Deno.writeTextFile(`${folder}/keys.json`, JSON.stringify({ keys: [jwk] }));

	await withStub(async (stub, url) => {
		const here = `Host: ${new URL(url).host}`;
		const name = 'Host: twin.example.org';
		const edge = ['Cf-Connecting-Ip: 203.0.113.9', 'X-Forwarded-Proto: https'];
		const key = `Authorization: ${AUTH.authorization}`;
		const ask = async (...lines: string[]) =>
			(await raw(url, ['GET /api/health HTTP/1.1', ...lines]))[0];

		await t.step('403 without its proof, by any name', async () => {
			assert.equal(await ask(name, key, ...edge), 403);
			assert.equal(await ask(here, key, ...edge), 403);
			assert.equal(await ask(name, key), 403);
			assert.equal(await ask(name, key, ...edge, proof.slice(0, -4) + 'AAAA'), 403);
			assert.equal((await raw(url, ['GET /login HTTP/1.1', name, ...edge]))[0], 403);
			assert.equal(stub.seen.length + stub.checks, 0);
		});

		await t.step('with it a token is wanted still', async () => {
			assert.equal(await ask(name, ...edge, proof), 401);
			assert.equal(await ask(name, key, ...edge, proof), 200);
		});

		await t.step('on this machine there is no Access', async () => {
			assert.equal(await ask(here, key), 200);
		});

		await t.step('a login there is for that name, with encryption', async () => {
			const until = new Date(Date.now() + 3_600_000).toISOString();
			stub.answer = () => Response.json({ session: TOKENS.session, expires_at: until });
			const login = (origin: string) =>
				raw(url, [
					'POST /api/session HTTP/1.1',
					name,
					proof,
					...edge,
					`Origin: ${origin}`,
					'Content-Type: application/json',
					'Content-Length: 15',
				], '{"code": "abc"}');
			const [status, answer] = await login('https://twin.example.org');
			assert.equal(status, 201);
			assert.match(
				answer,
				/set-cookie: __Host-twin_session=session-of[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure/,
			);
			assert.equal((await login('http://twin.example.org'))[0], 403);
			assert.equal((await login(new URL(url).origin))[0], 403);
		});
	}, {
		TWIN_HOSTS: 'twin.example.org',
		TWIN_PROXY: 'cloudflare',
		TWIN_ACCESS_TEAM: 'home',
		TWIN_ACCESS_AUD: audience,
		TWIN_ACCESS_KEYS: `${folder}/keys.json`,
	});
	await Deno.remove(folder, { recursive: true });
});
