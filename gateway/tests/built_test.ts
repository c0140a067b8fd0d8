/**
 * The built gateway, started as `twin serve` starts it (deny by default), in front of a stub of
 * FastAPI. The stub stands for the network edge alone: it says what the tests tell it to say.
 */
import assert from 'node:assert/strict';

const BUILD = new URL('../build', import.meta.url).pathname;
const LAUNCH: Record<'tcp' | 'unix', string[]> = JSON.parse(
	await Deno.readTextFile(`${BUILD}/launch.json`),
);
const TOKEN = 'upstream-token-that-no-caller-ever-sees-';
const KEY = 'key-that-callers-show-and-nobody-guesses';
const AUTH = { authorization: `Bearer ${KEY}` };
const PRIVATE = 'what the owner wrote';

function freePort(): number {
	using listener = Deno.listen({ hostname: '127.0.0.1', port: 0 });
	return listener.addr.port;
}

interface Seen {
	path: string;
	headers: Headers;
	body: unknown;
}

/** What the stub was asked, and how it answers. */
class Stub {
	seen: Seen[] = [];
	answer: (request: Request) => Response | Promise<Response> = () =>
		Response.json({ status: 'ok' });
	handler = async (request: Request) => {
		const body = request.method === 'POST' ? await request.json() : null;
		this.seen.push({ path: new URL(request.url).pathname, headers: request.headers, body });
		return this.answer(request);
	};
}

interface Place {
	flags: string[];
	env: Record<string, string>;
}

function place(kind: 'tcp' | 'unix', upstream: string, port = freePort()): Place {
	const values: Record<string, string> = {
		build: BUILD,
		port: `${port}`,
		upstream,
		socket: upstream,
	};
	return {
		flags: LAUNCH[kind].map((flag) => flag.replace(/\{(\w+)\}/g, (_, name) => values[name])),
		env: {
			PORT: `${port}`,
			TWIN_UPSTREAM: kind === 'tcp' ? `http://${upstream}` : `unix:${upstream}`,
			TWIN_TOKEN: TOKEN,
			TWIN_KEY: KEY,
		},
	};
}

function start({ flags, env }: Place) {
	return new Deno.Command(Deno.execPath(), {
		args: flags,
		env,
		clearEnv: true,
		stdout: 'piped',
		stderr: 'piped',
	}).spawn();
}

async function ready(url: string) {
	for (let i = 0; i < 200; i++) {
		try {
			return await (await fetch(`${url}/favicon.svg`)).body?.cancel();
		} catch {
			await new Promise((resolve) => setTimeout(resolve, 25));
		}
	}
	throw new Error('the gateway did not start');
}

/** Runs `body` against a gateway; the gateway must end well, and log nothing private. */
async function withGateway(at: Place, body: (url: string) => Promise<void>) {
	await using process = start(at);
	const url = `http://127.0.0.1:${at.env.PORT}`;
	await ready(url);
	try {
		await body(url);
	} finally {
		process.kill('SIGTERM');
		const { code, stdout, stderr } = await process.output();
		const log = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
		assert.equal(code, 0, log);
		for (const secret of [PRIVATE, TOKEN, KEY]) {
			assert.ok(!log.includes(secret), 'a secret in the log');
		}
	}
}

async function withStub(body: (stub: Stub, url: string) => Promise<void>) {
	const stub = new Stub();
	const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen() {} }, stub.handler);
	await withGateway(place('tcp', `127.0.0.1:${server.addr.port}`), (url) => body(stub, url));
	await server.shutdown();
}

const generate = (url: string, body: unknown, init: RequestInit = {}) =>
	fetch(`${url}/api/tts/lora/generate`, {
		method: 'POST',
		body: JSON.stringify(body),
		...init,
		headers: { 'content-type': 'application/json', ...AUTH, ...init.headers },
	});

/** The `type` of a problem document, after checking that it is one. */
async function kind(response: Response): Promise<string> {
	assert.equal(response.headers.get('content-type'), 'application/problem+json');
	const text = await response.text();
	assert.ok(!text.includes(PRIVATE), 'private text in a problem');
	const document = JSON.parse(text);
	assert.equal(document.status, response.status);
	return document.type.replace('urn:aitwin:problem:', '');
}

const chunk = (content: string) =>
	new TextEncoder().encode(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);

/** A request with headers that fetch does not let anyone set; gives the status. */
async function raw(url: string, lines: string[]): Promise<number> {
	const { hostname, port } = new URL(url);
	using connection = await Deno.connect({ hostname, port: Number(port) });
	await connection.write(
		new TextEncoder().encode([...lines, 'Connection: close', '', ''].join('\r\n')),
	);
	const buffer = new Uint8Array(64);
	const size = await connection.read(buffer);
	return Number(new TextDecoder().decode(buffer.subarray(0, size ?? 0)).split(' ')[1]);
}

Deno.test('the gateway over loopback TCP', async (t) => {
	await withStub(async (stub, url) => {
		await t.step('health is relayed, with the credential of the gateway', async () => {
			const response = await fetch(`${url}/api/health`, { headers: AUTH });
			assert.deepEqual(await response.json(), { status: 'ok' });
			const { path, headers } = stub.seen.pop()!;
			assert.equal(path, '/health');
			assert.equal(headers.get('authorization'), `Bearer ${TOKEN}`);
		});

		await t.step('A3: a whole draft', async () => {
			stub.answer = () => Response.json({ choices: [{ message: { content: 'Thursday works.' } }] });
			const asked = { prompt: PRIVATE, context: 'Thursday?', max_tokens: 99, temperature: 0 };
			const response = await generate(url, asked);
			assert.deepEqual(await response.json(), { text: 'Thursday works.' });
			assert.equal(response.headers.get('cache-control'), 'no-store');
			assert.deepEqual(stub.seen.pop()!.body, {
				model: 'twin',
				messages: [{ role: 'user', content: PRIVATE }],
				context: 'Thursday?',
				max_tokens: 99,
				temperature: 0,
				stream: false,
			});
		});

		await t.step('A3: each piece arrives before the next is made', async () => {
			let go = () => {};
			const seen = new Promise<void>((resolve) => go = resolve);
			stub.answer = () =>
				new Response(
					new ReadableStream({
						async start(controller) {
							controller.enqueue(chunk('Thurs'));
							await seen;
							controller.enqueue(chunk('day'));
							controller.close();
						},
					}),
					{ headers: { 'content-type': 'text/event-stream' } },
				);
			const response = await generate(url, { prompt: 'x', stream: true });
			assert.equal(response.headers.get('content-type'), 'text/event-stream');
			const reader = response.body!.getReader();
			assert.deepEqual((await reader.read()).value, chunk('Thurs'));
			go();
			assert.deepEqual((await reader.read()).value, chunk('day'));
			assert.ok((await reader.read()).done);
		});

		await t.step('a caller who leaves stops the twin within a second', async () => {
			let left = () => {};
			const gone = new Promise<void>((resolve) => left = resolve);
			stub.answer = () =>
				new Response(
					new ReadableStream({
						start: (controller) => controller.enqueue(chunk('x')),
						cancel: left,
					}),
					{ headers: { 'content-type': 'text/event-stream' } },
				);
			const abort = new AbortController();
			const response = await generate(url, { prompt: 'x', stream: true }, { signal: abort.signal });
			await response.body!.getReader().read();
			const since = performance.now();
			abort.abort();
			await gone;
			assert.ok(performance.now() - since < 1000);
		});

		await t.step('a caller who leaves before the first word stops it too', async () => {
			let left = () => {};
			const gone = new Promise<void>((resolve) => left = resolve);
			let arrived = () => {};
			const begun = new Promise<void>((resolve) => arrived = resolve);
			stub.answer = (request) => {
				arrived();
				return new Promise((resolve) =>
					request.signal.addEventListener('abort', () => {
						left();
						resolve(new Response());
					})
				);
			};
			const abort = new AbortController();
			const asked = generate(url, { prompt: 'x' }, { signal: abort.signal });
			await begun;
			const since = performance.now();
			abort.abort();
			await assert.rejects(asked);
			await gone;
			assert.ok(performance.now() - since < 1000);
		});

		await t.step('speech is relayed, with the voice that spoke', async () => {
			const headers = { 'content-type': 'audio/wav', 'x-voice': 'base', 'set-cookie': 'a=b' };
			stub.answer = () => new Response(Uint8Array.of(82, 73, 70, 70), { headers });
			const response = await fetch(`${url}/api/tts/speech`, {
				method: 'POST',
				body: JSON.stringify({ text: 'Thursday works.' }),
				headers: { ...AUTH, 'content-type': 'application/json' },
			});
			assert.equal(response.headers.get('content-type'), 'audio/wav');
			assert.equal(response.headers.get('x-voice'), 'base');
			assert.equal(response.headers.get('set-cookie'), null);
			assert.equal((await response.bytes()).length, 4);
			const { path, body } = stub.seen.pop()!;
			assert.equal(path, '/v1/audio/speech');
			assert.equal((body as { input: string }).input, 'Thursday works.');
		});

		await t.step('what the twin says when it fails does not pass', async () => {
			for (
				const [status, expected] of [[500, 'twin-failed'], [401, 'twin-refused'], [
					422,
					'twin-cannot',
				]] as const
			) {
				stub.answer = () => Response.json({ detail: PRIVATE }, { status });
				assert.equal(await kind(await generate(url, { prompt: PRIVATE })), expected);
			}
			stub.answer = () => new Response(PRIVATE, { status: 429, headers: { 'retry-after': '3' } });
			const busy = await generate(url, { prompt: 'x', stream: true });
			assert.equal(busy.headers.get('retry-after'), '3');
			assert.equal(await kind(busy), 'twin-busy');
			for (const stream of [true, false]) {
				stub.answer = () => new Response(PRIVATE);
				assert.equal(await kind(await generate(url, { prompt: 'x', stream })), 'twin-failed');
			}
		});

		await t.step('bad requests stay at the door', async () => {
			stub.seen = [];
			const type = { 'content-type': 'text/plain' };
			assert.equal(await kind(await generate(url, {})), 'invalid-request');
			assert.equal(await kind(await generate(url, {}, { headers: type })), 'not-json');
			const huge = await generate(url, { prompt: PRIVATE.repeat(500_000) });
			assert.equal(await kind(huge), 'too-large');
			const wrong = await fetch(`${url}/api/tts/speech`, { headers: AUTH });
			assert.equal(wrong.status, 405);
			assert.equal(await kind(wrong), 'wrong-method');
			const nowhere = await fetch(`${url}/api/nowhere`, { headers: AUTH });
			assert.equal(nowhere.status, 404);
			assert.equal(await kind(nowhere), 'not-found');
			assert.equal(stub.seen.length, 0);
		});

		await t.step('401 without the key, 403 from another site, 421 under another name', async () => {
			const bare = await fetch(`${url}/api/health`);
			assert.equal(bare.status, 401);
			assert.equal(bare.headers.get('www-authenticate'), 'Bearer');
			assert.equal(await kind(bare), 'no-key');
			const headers = { authorization: `Bearer ${TOKEN}` };
			assert.equal(await kind(await generate(url, { prompt: 'x' }, { headers })), 'no-key');

			const { host } = new URL(url);
			const key = `Authorization: Bearer ${KEY}`;
			const health = 'GET /api/health HTTP/1.1';
			const evil = 'Origin: https://evil.example';
			stub.answer = () => Response.json({ status: 'ok' });
			assert.equal(await raw(url, [health, `Host: ${host}`, key]), 200);
			assert.equal(await raw(url, [health, `Host: ${host}`, key, evil]), 403);
			assert.equal(
				await raw(url, [health, `Host: ${host}`, key, 'Sec-Fetch-Site: cross-site']),
				403,
			);
			assert.equal(await raw(url, [health, 'Host: evil.example', key]), 421);
			assert.equal(await raw(url, ['GET / HTTP/1.1', 'Host: evil.example']), 421);
		});

		await t.step('the page comes with a strict policy', async () => {
			const response = await fetch(url);
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
			assert.equal(response.headers.get('set-cookie'), null);
			assert.ok(!/(src|href)="(https?:)?\/\//.test(html), 'an external asset');
			for (const [, path] of html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|svg))"/g)) {
				const asset = await fetch(new URL(path, url));
				assert.equal(asset.status, 200, path);
				await asset.body?.cancel();
			}
		});
	});
});

Deno.test('the gateway over a Unix socket', async () => {
	const folder = await Deno.makeTempDir();
	const path = `${folder}/api.sock`;
	const stub = new Stub();
	const server = Deno.serve({ path, onListen() {} }, stub.handler);
	await withGateway(place('unix', path), async (url) => {
		const response = await fetch(`${url}/api/health`, { headers: AUTH });
		assert.deepEqual(await response.json(), { status: 'ok' });
		assert.equal(stub.seen[0].headers.get('authorization'), `Bearer ${TOKEN}`);

		await server.shutdown();
		assert.equal(await kind(await fetch(`${url}/api/health`, { headers: AUTH })), 'twin-down');
	});
	await Deno.remove(folder, { recursive: true });
});

Deno.test('without the twin: 503 with the next step, and the page still comes', async () => {
	await withGateway(place('tcp', `127.0.0.1:${freePort()}`), async (url) => {
		const response = await generate(url, { prompt: 'x', stream: true });
		assert.equal(response.status, 503);
		assert.match((await response.clone().json()).detail, /twin serve/);
		assert.equal(await kind(response), 'twin-down');
		assert.equal((await (await fetch(url)).text()).includes('What came in'), true);
	});
});

Deno.test('the permissions deny everything else', async () => {
	const stub = new Stub();
	const other = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen() {} }, stub.handler);
	const at = `127.0.0.1:${other.addr.port}`;

	// The app itself, told to call what its flags do not name.
	const strayed = place('tcp', `127.0.0.1:${freePort()}`);
	strayed.env.TWIN_UPSTREAM = `http://${at}`;
	await withGateway(strayed, async (url) => {
		assert.equal(await kind(await fetch(`${url}/api/health`, { headers: AUTH })), 'twin-down');
	});
	assert.equal(stub.seen.length, 0);

	// Any code under the same flags.
	const folder = await Deno.makeTempDir();
	const attempts = [
		`fetch('http://${at}')`,
		`fetch('http://twin.example')`,
		`Deno.connect({ hostname: '127.0.0.1', port: ${other.addr.port} })`,
		`Deno.listen({ hostname: '0.0.0.0', port: 0 })`,
		`Deno.readTextFile('/etc/hosts')`,
		`Deno.writeTextFile('${BUILD}/x', '')`,
		`Deno.env.get('HOME')`,
		`new Deno.Command('/bin/true').output()`,
	];
	const remote = `import('https://twin.example/module.js')`;
	const tries = [...attempts, remote].map((code) => `async () => ${code}`).join(',\n');
	await Deno.writeTextFile(
		`${folder}/probe.js`,
		`for (const attempt of [${tries}]) {
			console.log(await attempt().then(() => 'allowed', (error) => error.name));
		}`,
	);
	for (const way of ['tcp', 'unix'] as const) {
		const { flags, env } = place(way, way === 'tcp' ? '127.0.0.1:1' : `${folder}/api.sock`);
		const probe = start({ flags: [...flags.slice(0, -1), `${folder}/probe.js`], env });
		const { stdout } = await probe.output();
		const names = new TextDecoder().decode(stdout).trim().split('\n');
		assert.deepEqual(names, [...attempts.map(() => 'NotCapable'), 'TypeError']);
	}
	await Deno.remove(folder, { recursive: true });
	await other.shutdown();
});

Deno.test('a start that cannot work says why', async () => {
	using taken = Deno.listen({ hostname: '127.0.0.1', port: 0 });
	const good = place('tcp', '127.0.0.1:1', taken.addr.port);
	const cases: [Record<string, string>, RegExp][] = [
		[{}, /port \d+ is in use/],
		[{ PORT: 'x' }, /PORT/],
		[{ TWIN_KEY: 'short' }, /TWIN_KEY/],
		[{ TWIN_UPSTREAM: 'https://example.org' }, /TWIN_UPSTREAM/],
	];
	for (const [env, message] of cases) {
		const process = start({ flags: good.flags, env: { ...good.env, ...env } });
		const { code, stderr } = await process.output();
		const text = new TextDecoder().decode(stderr);
		assert.equal(code, 1, text);
		assert.match(text, message);
		assert.ok(!text.includes('    at '), `a stack trace: ${text}`);
	}
});
