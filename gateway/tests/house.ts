/**
 * The built gateway, started as `twin serve` starts it (deny by default), in front of a stub of
 * FastAPI. The stub stands for the network edge alone: it says what the tests tell it to say.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

export const BUILD = new URL('../build', import.meta.url).pathname;
const LAUNCH: Record<'tcp' | 'unix' | 'keys', string[]> = JSON.parse(
	await Deno.readTextFile(`${BUILD}/launch.json`),
);
export const CREDENTIAL = 'upstream-token-that-no-caller-ever-sees-';
export const PRIVATE = 'what the owner wrote';

/** What callers show: a token of each scope, and a session. */
export const TOKENS = {
	owner: 'twin_token-of-the-owners-own-programs',
	use: 'twin_token-that-may-write-and-speak-only',
	/** Not asked for but in the test that needs one whom the door does not know yet. */
	late: 'twin_token-that-was-made-only-a-moment-ago',
	session: 'session-of-a-browser-that-was-let-in',
};
export const as = (who: keyof typeof TOKENS) => ({ authorization: `Bearer ${TOKENS[who]}` });
export const AUTH = as('owner');
/** The page's cookie, whose name has the gateway's port. */
export const cookieOf = (url: string, session = TOKENS.session) => ({
	cookie: `twin_session_${new URL(url).port}=${session}`,
});
const DIGESTS = new Map(
	Object.entries(TOKENS).map(([name, secret]) => [
		createHash('sha256').update(secret).digest('hex'),
		{
			id: name === 'session' ? 'session:0a1b' : `token:${name}`,
			kind: name === 'session' ? 'session' : 'token',
			name,
			scope: name === 'use' ? 'use' : 'owner',
			expires_at: null,
		},
	]),
);

export function freePort(): number {
	using listener = Deno.listen({ hostname: '127.0.0.1', port: 0 });
	return listener.addr.port;
}

export interface Seen {
	method: string;
	path: string;
	headers: Headers;
	body: string;
}

/** A problem as FastAPI tells it. */
export const told = (kind: string, status: number, detail = 'try again') =>
	new Response(
		JSON.stringify({ type: `urn:aitwin:problem:${kind}`, title: 'A title', status, detail }),
		{ status, headers: { 'content-type': 'application/problem+json' } },
	);

/** What the stub was asked, and how it answers. Who asks, it always knows. */
export class Stub {
	/** Requests but those of the gateway's own about callers. */
	seen: Seen[] = [];
	checks = 0;
	/** Digests that were revoked. */
	revoked = new Set<string>();
	answer: (request: Request) => Response | Promise<Response> = () =>
		Response.json({ status: 'ok' });
	/** Whether bodies are read before the answer; a test of uploads reads its own. */
	reads = true;

	handler = async (request: Request) => {
		const path = request.url.slice(new URL(request.url).origin.length);
		assert.equal(request.headers.get('authorization'), `Bearer ${CREDENTIAL}`);
		if (path === '/access/check') {
			this.checks++;
			assert.equal(request.headers.get('x-twin-caller'), 'gateway');
			const { digest } = await request.json();
			const caller = DIGESTS.get(digest);
			const known = caller && !this.revoked.has(caller.id);
			return known ? Response.json(caller) : told('unknown-caller', 404);
		}
		assert.ok(request.headers.has('x-twin-caller'), 'a request of nobody');
		const body = this.reads ? await request.text().catch(() => '') : '';
		this.seen.push({ method: request.method, path, headers: request.headers, body });
		return await this.answer(request);
	};
}

export interface Place {
	flags: string[];
	env: Record<string, string>;
}

export function place(
	kind: 'tcp' | 'unix',
	upstream: string,
	{ port = freePort(), env = {} }: { port?: number; env?: Record<string, string> } = {},
): Place {
	const keys = env.TWIN_ACCESS_KEYS;
	const values: Record<string, string> = {
		build: BUILD,
		port: `${port}`,
		upstream,
		socket: upstream,
		keys: keys ?? '',
	};
	const flags = LAUNCH[kind].toSpliced(-1, 0, ...(keys ? LAUNCH.keys : []));
	return {
		flags: flags.map((flag) => flag.replace(/\{(\w+)\}/g, (_, name) => values[name]!)),
		env: {
			PORT: `${port}`,
			TWIN_UPSTREAM: kind === 'tcp' ? `http://${upstream}` : `unix:${upstream}`,
			TWIN_TOKEN: CREDENTIAL,
			...env,
		},
	};
}

export function start({ flags, env }: Place, stdin: 'null' | 'piped' = 'null') {
	return new Deno.Command(Deno.execPath(), {
		args: stdin === 'piped' ? [...flags, '--end-with-stdin'] : flags,
		env,
		clearEnv: true,
		stdin,
		stdout: 'piped',
		stderr: 'piped',
	}).spawn();
}

export async function ready(url: string) {
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
export async function withGateway(at: Place, body: (url: string) => Promise<void>) {
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
		assert.ok(!/^gateway: .*(Error|Resource|error)/m.test(log), `a fault in the log: ${log}`);
		for (const secret of [PRIVATE, CREDENTIAL, ...Object.values(TOKENS)]) {
			assert.ok(!log.includes(secret), 'a secret in the log');
		}
	}
}

export async function withStub(
	body: (stub: Stub, url: string) => Promise<void>,
	env: Record<string, string> = {},
) {
	const stub = new Stub();
	const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen() {} }, stub.handler);
	const at = place('tcp', `127.0.0.1:${server.addr.port}`, { env });
	await withGateway(at, (url) => body(stub, url));
	await server.shutdown();
}

export function send(
	url: string,
	path: string,
	body: unknown,
	{ headers = {}, ...init }: RequestInit & { headers?: Record<string, string> } = {},
) {
	return fetch(url + path, {
		method: 'POST',
		body: JSON.stringify(body),
		...init,
		headers: { 'content-type': 'application/json', ...AUTH, ...headers },
	});
}

/** The `type` of a problem document, after checking that it is one. */
export async function kind(response: Response): Promise<string> {
	assert.equal(response.headers.get('content-type'), 'application/problem+json');
	const text = await response.text();
	assert.ok(!text.includes(PRIVATE), 'private text in a problem');
	const document = JSON.parse(text);
	assert.equal(document.status, response.status);
	return document.type.replace('urn:aitwin:problem:', '');
}

/** A request with headers that fetch does not let anyone set: the status, and the answer's head. */
export async function raw(url: string, lines: string[], body = ''): Promise<[number, string]> {
	const { hostname, port } = new URL(url);
	using connection = await Deno.connect({ hostname, port: Number(port) });
	const text = [...lines, 'Connection: close', '', body].join('\r\n');
	await connection.write(new TextEncoder().encode(text));
	const decoder = new TextDecoder();
	let answer = '';
	const buffer = new Uint8Array(16_384);
	while (!answer.includes('\r\n\r\n')) {
		const size = await connection.read(buffer);
		if (size === null) break;
		answer += decoder.decode(buffer.subarray(0, size), { stream: true });
	}
	return [Number(answer.split(' ')[1]), answer];
}

export function deferred() {
	return Promise.withResolvers<void>();
}
