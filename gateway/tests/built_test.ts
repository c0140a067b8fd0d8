/** What passes through the built gateway, and what does not: see house. */
import assert from 'node:assert/strict';
import {
	as,
	AUTH,
	BUILD,
	cookieOf,
	CREDENTIAL,
	deferred,
	freePort,
	kind,
	place,
	PRIVATE,
	raw,
	ready,
	send,
	start,
	Stub,
	told,
	withGateway,
	withStub,
} from './house.ts';

const GENERATE = '/api/tts/lora/generate';

const chunk = (content: string) =>
	new TextEncoder().encode(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
const completion = (content: string) =>
	Response.json({
		model: 'twin',
		choices: [{ message: { content }, finish_reason: 'stop' }],
		taken_off: [{ kind: 'number' }],
	});

/** A test that would wait for ever fails; how fast it is, the benchmark tells. */
async function happens(promise: Promise<void>) {
	const guard = Promise.withResolvers<never>();
	const timer = setTimeout(() => guard.reject(new Error('it does not happen')), 20_000);
	await Promise.race([promise, guard.promise]).finally(() => clearTimeout(timer));
}

Deno.test('what is passed on', async (t) => {
	await withStub(async (stub, url) => {
		await t.step(
			'a route, with its query and who asks, and nothing that the caller shows',
			async () => {
				const path = '/datasets/main/pairs?split=test&q=%C3%BC&offset=0';
				const response = await fetch(`${url}/api${path}`, {
					headers: { ...AUTH, ...cookieOf(url), 'x-twin-caller': 'token:forged', 'x-other': 'a' },
				});
				assert.deepEqual(await response.json(), { status: 'ok' });
				const seen = stub.seen.pop()!;
				assert.equal(seen.path, path);
				assert.equal(seen.headers.get('x-twin-caller'), 'token:owner');
				assert.equal(seen.headers.get('cookie'), null);
				assert.equal(seen.headers.get('x-other'), null);
				assert.ok(!response.headers.has('set-cookie'));
				assert.equal(response.headers.get('cache-control'), 'no-store');
			},
		);

		await t.step('its body and method, and the answer with its status', async () => {
			stub.answer = () =>
				Response.json({ id: 'p' }, { status: 201, headers: { 'set-cookie': 'a=b' } });
			const init = { method: 'PATCH' };
			const response = await send(url, '/api/datasets/main/pairs/p', { reply: PRIVATE }, init);
			assert.equal(response.status, 201);
			assert.deepEqual(await response.json(), { id: 'p' });
			assert.equal(response.headers.get('set-cookie'), null);
			const { method, path, body } = stub.seen.pop()!;
			assert.deepEqual([method, path], ['PATCH', '/datasets/main/pairs/p']);
			assert.deepEqual(JSON.parse(body), { reply: PRIVATE });
		});

		await t.step("OpenAI's routes stand under /v1, for its clients", async () => {
			stub.answer = () => Response.json({ data: [] });
			for (const prefix of ['', '/api']) {
				const response = await fetch(`${url}${prefix}/v1/models`, { headers: AUTH });
				assert.deepEqual(await response.json(), { data: [] });
				assert.equal(stub.seen.pop()!.path, '/v1/models');
			}
		});

		await t.step('parts of a recording (Range)', async () => {
			stub.answer = (request) => {
				assert.equal(request.headers.get('range'), 'bytes=1-2');
				return new Response('IF', {
					status: 206,
					headers: {
						'content-type': 'audio/wav',
						'content-range': 'bytes 1-2/4',
						'accept-ranges': 'bytes',
					},
				});
			};
			const response = await fetch(`${url}/api/voices/ana/takes/0123456789abcdef/audio`, {
				headers: { ...AUTH, range: 'bytes=1-2' },
			});
			assert.equal(response.status, 206);
			assert.equal(response.headers.get('content-range'), 'bytes 1-2/4');
			assert.equal(await response.text(), 'IF');
		});

		await t.step('speech, with what it tells of itself', async () => {
			stub.answer = () =>
				new Response(Uint8Array.of(82, 73, 70, 70), {
					headers: { 'content-type': 'audio/wav', 'x-voice': 'ana', 'x-similarity': '0.91' },
				});
			const response = await send(url, '/api/tts/clone', { voice_id: 'ana', text: PRIVATE });
			assert.equal(response.headers.get('content-type'), 'audio/wav');
			assert.equal(response.headers.get('x-voice'), 'ana');
			assert.equal(response.headers.get('x-similarity'), '0.91');
			assert.equal((await response.bytes()).length, 4);
			assert.equal(stub.seen.pop()!.path, '/speech');
		});

		await t.step('A1 in the form that Accept asks for; each piece before the next', async () => {
			const seen = deferred();
			stub.answer = (request) => {
				assert.equal(request.headers.get('accept'), 'text/event-stream');
				return new Response(
					new ReadableStream({
						async start(controller) {
							controller.enqueue(new TextEncoder().encode('event: text\n'));
							await seen.promise;
							controller.enqueue(new TextEncoder().encode('data: {}\n\n'));
							controller.close();
						},
					}),
					{ headers: { 'content-type': 'text/event-stream' } },
				);
			};
			const headers = { accept: 'text/event-stream' };
			const asked = { prompt: PRIVATE, voice_id: 'ana' };
			const response = await send(url, '/api/tts/pipeline', asked, { headers });
			const reader = response.body!.getReader();
			assert.equal(new TextDecoder().decode((await reader.read()).value), 'event: text\n');
			seen.resolve();
			assert.equal(new TextDecoder().decode((await reader.read()).value), 'data: {}\n\n');
			assert.ok((await reader.read()).done);
			const { path, body } = stub.seen.pop()!;
			assert.equal(path, '/say');
			assert.deepEqual(JSON.parse(body), asked);
		});

		await t.step('A1 with a clip: the form as it was sent', async () => {
			stub.answer = async (request) => {
				const form = new Response(stub.seen.at(-1)!.body, { headers: request.headers });
				const fields = [...(await form.formData()).entries()].map(([name, value]) =>
					typeof value === 'string' ? [name, value] : [name, `${value.name} ${value.size}`]
				);
				return Response.json([request.headers.get('accept'), ...fields]);
			};
			const form = new FormData();
			form.append('prompt', 'Thank Ana');
			form.append('clip', new Blob([new Uint8Array(100_000).fill(65)]), 'me.wav');
			const response = await fetch(`${url}/api/tts/pipeline`, {
				method: 'POST',
				body: form,
				headers: { ...AUTH, accept: 'multipart/mixed' },
			});
			const fields = [['prompt', 'Thank Ana'], ['clip', 'me.wav 100000']];
			assert.deepEqual(await response.json(), ['multipart/mixed', ...fields]);
		});

		await t.step(
			'a page that FastAPI made, into a frame of ours and a sandbox',
			async () => {
				stub.answer = () =>
					new Response('<style></style>', { headers: { 'content-type': 'text/html' } });
				const response = await fetch(`${url}/api/datasets/main/page`, { headers: AUTH });
				const policy = response.headers.get('content-security-policy')!;
				assert.match(policy, /default-src 'none'.*frame-ancestors 'self'; sandbox allow-scripts$/);
				assert.equal(response.headers.get('x-frame-options'), 'SAMEORIGIN');
				await response.body?.cancel();
			},
		);

		await t.step('the problems of the twin, and of no other form than ours', async () => {
			stub.answer = () => told('busy-training', 409, 'wait');
			const busy = await send(url, '/api/trainings', {});
			assert.equal((await busy.clone().json()).detail, 'wait');
			assert.equal(await kind(busy), 'busy-training');

			stub.answer = () => {
				const answer = told('busy', 429);
				answer.headers.set('retry-after', '3');
				return answer;
			};
			const later = await send(url, GENERATE, { prompt: 'x', stream: true });
			assert.equal(later.headers.get('retry-after'), '3');
			assert.equal(await kind(later), 'busy');

			for (
				const [status, expected] of [
					[500, 'twin-failed'],
					[401, 'twin-refused'],
					[422, 'twin-cannot'],
					[307, 'twin-failed'],
				] as const
			) {
				stub.answer = () => Response.json({ detail: PRIVATE }, { status });
				assert.equal(await kind(await send(url, GENERATE, { prompt: PRIVATE })), expected);
			}
			const wrong = [
				new Response(PRIVATE, { headers: { 'content-type': 'application/problem+json' } }),
				told('busy', 500),
				told(`x ${PRIVATE}`, 400),
			];
			for (const { headers, body } of wrong) {
				stub.answer = () => new Response(body, { status: 400, headers });
				assert.equal(await kind(await send(url, GENERATE, { prompt: 'x' })), 'twin-cannot');
			}
			stub.answer = () => told('no-credential', 401);
			assert.equal(await kind(await send(url, GENERATE, { prompt: 'x' })), 'twin-refused');
			for (const stream of [true, false]) {
				stub.answer = () => new Response(PRIVATE);
				assert.equal(await kind(await send(url, GENERATE, { prompt: 'x', stream })), 'twin-failed');
			}
		});

		await t.step('what the table does not name stays at the door', async () => {
			stub.seen = [];
			const ways = ['/access/check', '/access/login', '/voices/..%2faccess', '/nowhere', '/%61pi'];
			for (const path of ways) {
				assert.equal(await kind(await send(url, `/api${path}`, {})), 'not-found');
			}
			assert.equal(await kind(await send(url, '/v1/nowhere', {})), 'not-found');
			assert.equal(await kind(await send(url, '/%61pi/tts/pipeline/x', {})), 'not-found');
			const wrong = await fetch(`${url}/api/voices/ana`, { method: 'PUT', headers: AUTH });
			assert.equal(wrong.headers.get('allow'), 'GET, PATCH, DELETE');
			assert.equal(await kind(wrong), 'wrong-method');
			const upload = await fetch(`${url}/api/voice/upload`, { headers: AUTH });
			assert.equal(await kind(upload), 'wrong-method');
			assert.equal(stub.seen.length, 0);
		});

		await t.step('nor does a body of another kind or size', async () => {
			const type = { 'content-type': 'text/plain' };
			for (const path of [GENERATE, '/v1/chat/completions', '/api/tts/pipeline']) {
				const refused = await send(url, path, {}, { headers: type });
				assert.match(refused.headers.get('accept')!, /application\/json/);
				assert.equal(await kind(refused), 'unsupported-media-type');
				assert.equal(
					await kind(await send(url, path, { prompt: PRIVATE.repeat(2_000_000) })),
					'too-large',
				);
			}
			assert.equal(await kind(await send(url, '/api/voice/upload', {})), 'unsupported-media-type');
			assert.equal(await kind(await send(url, GENERATE, { prompt: '' })), 'invalid-request');
			const query = `/api/pairs?q=${'x'.repeat(13_000)}`;
			assert.equal(await kind(await fetch(url + query, { headers: AUTH })), 'too-large');
			assert.equal(stub.seen.length, 0);
		});

		await t.step('a token that may write and speak reaches nothing else', async () => {
			stub.answer = () => Response.json({});
			const get = (path: string) => fetch(url + path, { headers: as('use') });
			assert.equal(await kind(await get('/api/voices/ana')), 'not-allowed');
			assert.equal(await kind(await get('/api/access/tokens')), 'not-allowed');
			const headers = { ...as('use'), 'content-type': 'multipart/form-data; boundary=x' };
			assert.equal(
				await kind(await send(url, '/api/voice/upload', {}, { headers })),
				'not-allowed',
			);
			assert.equal(stub.seen.length, 0);
			const voices = await get('/api/voices');
			assert.equal(voices.status, 200);
			await voices.body?.cancel();
			assert.equal(stub.seen.pop()!.headers.get('x-twin-caller'), 'token:use');
		});
	});
});

Deno.test('A3: a draft', async (t) => {
	await withStub(async (stub, url) => {
		await t.step('whole', async () => {
			stub.answer = () => completion('Thursday works.');
			const asked = {
				prompt: PRIVATE,
				context: 'Thursday?',
				style_reference: 'Hi, sure.',
				max_tokens: 99,
				temperature: 0,
			};
			const response = await send(url, GENERATE, asked, { headers: as('use') });
			assert.deepEqual(await response.json(), {
				text: 'Thursday works.',
				model: 'twin',
				finish_reason: 'stop',
				taken_off: [{ kind: 'number' }],
			});
			const { path, body } = stub.seen.pop()!;
			assert.equal(path, '/v1/chat/completions');
			assert.deepEqual(JSON.parse(body), {
				model: 'twin',
				messages: [{ role: 'user', content: PRIVATE }],
				context: 'Thursday?',
				reference: 'Hi, sure.',
				max_tokens: 99,
				temperature: 0,
				kind: 'reply',
				stream: false,
			});
		});

		await t.step('for someone, of a kind and a length', async () => {
			stub.answer = () => completion('Thursday works.');
			const asked = { prompt: 'x', kind: 'write', to: 'Ana', register: 'chat', length: 40 };
			const response = await send(url, GENERATE, asked);
			assert.equal(response.status, 200);
			await response.body?.cancel();
			const { prompt: _, ...rest } = asked;
			const body = JSON.parse(stub.seen.pop()!.body);
			for (const [name, value] of Object.entries(rest)) assert.equal(body[name], value);
			const wrong = await send(url, GENERATE, { prompt: 'x', length: 0, [PRIVATE]: 1 });
			const { errors } = await wrong.clone().json();
			assert.deepEqual(errors.map((one: { pointer: string }) => one.pointer), ['#/length', '#/…']);
			assert.equal(await kind(wrong), 'invalid-request');
		});

		await t.step("what is wrong, by A3's names", async () => {
			stub.answer = async () => {
				const document = await told('invalid-request', 422).json();
				const errors = [{ pointer: '#/messages/0/content', detail: 'is no text' }];
				return Response.json({ ...document, errors }, {
					status: 422,
					headers: { 'content-type': 'application/problem+json' },
				});
			};
			const refused = await send(url, GENERATE, { prompt: 'x' });
			assert.equal((await refused.json()).errors[0].pointer, '#/prompt');
		});

		await t.step('each piece arrives before the next is made', async () => {
			const seen = deferred();
			stub.answer = () =>
				new Response(
					new ReadableStream({
						async start(controller) {
							controller.enqueue(chunk('Thurs'));
							await seen.promise;
							controller.enqueue(chunk('day'));
							controller.close();
						},
					}),
					{ headers: { 'content-type': 'text/event-stream' } },
				);
			const headers = { accept: 'text/event-stream' };
			const response = await send(url, GENERATE, { prompt: 'x' }, { headers });
			assert.equal(response.headers.get('content-type'), 'text/event-stream');
			const reader = response.body!.getReader();
			assert.deepEqual((await reader.read()).value, chunk('Thurs'));
			seen.resolve();
			assert.deepEqual((await reader.read()).value, chunk('day'));
			assert.ok((await reader.read()).done);
		});

		await t.step('a caller who leaves stops the twin', async () => {
			const left = deferred();
			stub.answer = () =>
				new Response(
					new ReadableStream({
						start: (controller) => controller.enqueue(chunk('x')),
						cancel: left.resolve,
					}),
					{ headers: { 'content-type': 'text/event-stream' } },
				);
			const abort = new AbortController();
			const { signal } = abort;
			const response = await send(url, GENERATE, { prompt: 'x', stream: true }, { signal });
			await response.body!.getReader().read();
			abort.abort();
			await happens(left.promise);
		});

		await t.step('a caller who leaves before the first word stops it too', async () => {
			const [begun, left] = [deferred(), deferred()];
			stub.answer = (request) => {
				begun.resolve();
				return new Promise((resolve) =>
					request.signal.addEventListener('abort', () => {
						left.resolve();
						resolve(new Response());
					})
				);
			};
			const abort = new AbortController();
			const asked = send(url, GENERATE, { prompt: 'x' }, {
				signal: abort.signal,
				// In more than one piece, which Deno.serve would not get over: see adapter/serve.ts.
				headers: { 'x-long': 'x'.repeat(5_000) },
			});
			await begun.promise;
			abort.abort();
			await assert.rejects(asked);
			await happens(left.promise);
		});
	});
});

Deno.test('A4: a recording', async (t) => {
	const type = 'multipart/form-data; boundary=x';

	await withStub(async (stub, url) => {
		stub.reads = false;
		const upload = (body: BodyInit, headers: Record<string, string> = {}) =>
			fetch(`${url}/api/voice/upload`, {
				method: 'POST',
				body,
				headers: { ...AUTH, 'content-type': type, ...headers },
			});
		/** Bytes that FastAPI got, and whether the body ended well. */
		const got = async (request: Request) => {
			let size = 0;
			try {
				for await (const part of request.body!) size += part.byteLength;
			} catch {
				return { size, whole: false };
			}
			return { size, whole: true };
		};

		await t.step('arrives as it was sent', async () => {
			stub.answer = async (request) => Response.json(await request.json());
			const response = await upload('{"voice_id": "ana"}');
			assert.deepEqual(await response.json(), { voice_id: 'ana' });
			const { path, headers } = stub.seen.pop()!;
			assert.equal(path, '/voices/uploads');
			assert.equal(headers.get('content-type'), type);
		});

		await t.step('is passed on while it still comes', async () => {
			const arrived = deferred();
			stub.answer = async (request) => {
				const reader = request.body!.getReader();
				await reader.read();
				arrived.resolve();
				while (!(await reader.read()).done);
				return Response.json({});
			};
			const body = new ReadableStream<Uint8Array>({
				async start(controller) {
					controller.enqueue(new Uint8Array(100_000));
					await arrived.promise;
					controller.close();
				},
			});
			assert.equal((await upload(body)).status, 200);
		});

		await t.step('of more than there may be is refused, declared or not', async () => {
			stub.seen = [];
			const { host } = new URL(url);
			const [status] = await raw(url, [
				'POST /api/voice/upload HTTP/1.1',
				`Host: ${host}`,
				`Authorization: ${AUTH.authorization}`,
				`Content-Type: ${type}`,
				'Content-Length: 202000000',
			], 'x');
			assert.equal(status, 413);
			assert.equal(stub.seen.length, 0);

			const begun = deferred();
			const end = Promise.withResolvers<{ size: number; whole: boolean }>();
			stub.answer = async (request) => {
				begun.resolve();
				end.resolve(await got(request));
				return Response.json({});
			};
			// Another route, whose limit is nearer (16 KiB).
			const body = new ReadableStream<Uint8Array>({
				async start(controller) {
					controller.enqueue(new Uint8Array(16_000));
					await begun.promise;
					controller.enqueue(new Uint8Array(4_000));
					controller.close();
				},
			});
			assert.equal(await kind(await send(url, '/api/voices', null, { body })), 'too-large');
			const { size, whole } = await end.promise;
			assert.ok(!whole && size <= 16 * 1024, `${size}`);
		});

		await t.step('that breaks off is no whole one', async () => {
			for (const header of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
				const end = Promise.withResolvers<{ size: number; whole: boolean }>();
				const begun = deferred();
				stub.answer = async (request) => {
					begun.resolve();
					end.resolve(await got(request));
					return Response.json({});
				};
				const { hostname, port, host } = new URL(url);
				const connection = await Deno.connect({ hostname, port: Number(port) });
				const lines = [
					'POST /api/voice/upload HTTP/1.1',
					`Host: ${host}`,
					`Authorization: ${AUTH.authorization}`,
					`Content-Type: ${type}`,
					header,
					'',
					header.endsWith('chunked') ? '5\r\nhello\r\n' : 'hello',
				];
				await connection.write(new TextEncoder().encode(lines.join('\r\n')));
				await begun.promise;
				connection.close();
				assert.equal((await end.promise).whole, false);
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
		assert.equal(stub.seen[0]!.headers.get('authorization'), `Bearer ${CREDENTIAL}`);

		await server.shutdown();
		assert.equal(await kind(await fetch(`${url}/api/health`, { headers: AUTH })), 'twin-down');
	});
	await Deno.remove(folder, { recursive: true });
});

Deno.test('without the twin: 503 with the next step, and the page still comes', async () => {
	await withGateway(place('tcp', `127.0.0.1:${freePort()}`), async (url) => {
		const response = await send(url, GENERATE, { prompt: 'x', stream: true });
		assert.equal(response.status, 503);
		assert.match((await response.clone().json()).detail, /twin serve/);
		assert.equal(await kind(response), 'twin-down');
		const page = await fetch(url, { headers: cookieOf(url) });
		assert.equal(page.status, 200);
		assert.match(await page.text(), /AI Twin/);
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
	assert.equal(stub.seen.length + stub.checks, 0);

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
		const env = { TWIN_ACCESS_KEYS: `${folder}/keys.json` };
		const upstream = way === 'tcp' ? '127.0.0.1:1' : `${folder}/api.sock`;
		const { flags } = place(way, upstream, { env });
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
	const good = place('tcp', '127.0.0.1:1', { port: taken.addr.port });
	const cases: [Record<string, string>, RegExp][] = [
		[{}, /port \d+ is in use/],
		[{ PORT: 'x' }, /PORT/],
		[{ TWIN_TOKEN: 'short' }, /TWIN_TOKEN/],
		[{ TWIN_UPSTREAM: 'https://example.org' }, /TWIN_UPSTREAM/],
		[{ TWIN_HOSTS: 'https://twin.example.org' }, /TWIN_HOSTS/],
		[{ TWIN_PROXY: 'nginx' }, /TWIN_PROXY/],
		[{ TWIN_RATE: '0' }, /TWIN_RATE/],
		[{ TWIN_ACCESS_TEAM: 'home' }, /TWIN_ACCESS_AUD/],
	];
	await Promise.all(cases.map(async ([env, message]) => {
		const process = start({ flags: good.flags, env: { ...good.env, ...env } });
		const { code, stderr } = await process.output();
		const text = new TextDecoder().decode(stderr);
		assert.equal(code, 1, text);
		assert.match(text, message);
		assert.ok(!text.includes('    at '), `a stack trace: ${text}`);
	}));
});

Deno.test('it ends with whoever started it, if they say so', async () => {
	const at = place('tcp', '127.0.0.1:1');
	const process = start(at, 'piped');
	await ready(`http://127.0.0.1:${at.env.PORT}`);
	await process.stdin.close();
	assert.equal((await process.output()).code, 0);
});

Deno.test('a newer build in its place changes nothing of the one that runs', async () => {
	const folder = await Deno.makeTempDir();
	await new Deno.Command('cp', { args: ['-r', BUILD, `${folder}/build`] }).output();
	const at = place('tcp', `127.0.0.1:${freePort()}`);
	at.flags = at.flags.map((flag) => flag.replaceAll(BUILD, `${folder}/build`));
	await withGateway(at, async (url) => {
		await Deno.remove(`${folder}/build`, { recursive: true });
		const page = await fetch(`${url}/login`);
		const html = await page.text();
		assert.equal(page.status, 200);
		const script = /href="([^"]+\.js)"/.exec(html)![1]!;
		const client = await fetch(new URL(script, `${url}/login`));
		assert.equal(client.status, 200);
		await client.body?.cancel();
		assert.equal(await kind(await fetch(`${url}/api/health`, { headers: AUTH })), 'twin-down');
		assert.equal(await kind(await send(url, '/api/session', {})), 'invalid-request');
		assert.equal(await kind(await send(url, GENERATE, { prompt: 'x' })), 'twin-down');
	});
	await Deno.remove(folder, { recursive: true });
});

Deno.test('who hangs up in the middle of a request leaves nothing in the log', async () => {
	await withStub(async (stub, url) => {
		const { hostname, port, host } = new URL(url);
		for (const path of ['/api/session', GENERATE, '/api/tts/pipeline']) {
			for (const length of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
				const connection = await Deno.connect({ hostname, port: Number(port) });
				const lines = [
					`POST ${path} HTTP/1.1`,
					`Host: ${host}`,
					`Origin: http://${host}`,
					...(path === '/api/session' ? [] : [`Authorization: ${AUTH.authorization}`]),
					'Content-Type: application/json',
					length,
					'',
					length.endsWith('chunked') ? '5\r\n{"a":\r\n' : '{"a":',
				];
				await connection.write(new TextEncoder().encode(lines.join('\r\n')));
				// Not before it is read: the door has asked who that is.
				await fetch(`${url}/api/voices`, { headers: AUTH }).then((other) => other.body?.cancel());
				connection.close();
			}
		}
		// Nor who does while FastAPI is asked for a session.
		const begun = deferred();
		stub.answer = () => {
			begun.resolve();
			const half = new ReadableStream({
				start: (controller) => controller.enqueue(new TextEncoder().encode('{"session":')),
			});
			return new Response(half, { headers: { 'content-type': 'application/json' } });
		};
		const abort = new AbortController();
		const asked = send(url, '/api/session', { code: 'abc' }, {
			signal: abort.signal,
			headers: { origin: `http://${host}` },
		});
		await begun.promise;
		abort.abort();
		await assert.rejects(asked);
		stub.answer = () => Response.json({});
		// Whatever it would say of them comes before this.
		await fetch(`${url}/api/voices`, { headers: AUTH }).then((other) => other.body?.cancel());
		assert.ok(stub.seen.length > 0);
	});
});

Deno.test('a tunnel that TWIN_PROXY does not name is warned of', async () => {
	const at = place('tcp', '127.0.0.1:1', { env: { TWIN_HOSTS: 'twin.example.org' } });
	for (const proxy of ['', 'forwarded']) {
		const process = start({ ...at, env: { ...at.env, TWIN_PROXY: proxy } });
		await ready(`http://127.0.0.1:${at.env.PORT}`);
		process.kill('SIGTERM');
		const { stderr } = await process.output();
		assert.equal(new TextDecoder().decode(stderr).includes('TWIN_PROXY'), proxy === '');
	}
});

Deno.test('connections are bounded, and one that ends makes room', async () => {
	await withStub(async (_, url) => {
		const { hostname, port } = new URL(url);
		const open = () => Deno.connect({ hostname, port: Number(port) });
		const all = await Promise.all(Array.from({ length: 402 }, open));
		// Those beyond the bound are closed at once, whichever they are; the others wait for a request.
		const shut = Promise.withResolvers<void>();
		for (const one of all) {
			one.read(new Uint8Array(1)).then((size) => size === null && shut.resolve(), () => {});
		}
		await happens(shut.promise);
		for (const one of all) one.close();
		const answers = async () => {
			const page = await fetch(`${url}/login`).catch(() => null);
			await page?.body?.cancel();
			return page?.status === 200;
		};
		await happens((async () => {
			while (!await answers()) await new Promise((resolve) => setTimeout(resolve, 20));
		})());
	});
});
