/**
 * SvelteKit on Deno: the running half. Static files, then the app; knows nothing of the twin.
 *
 * All of the build is read when it starts: a newer one that takes its place on the disk changes nothing
 * of this one, which would else answer with half of each.
 *
 * On Deno's `node:http`, not on `Deno.serve`: that one (2.9.8) does not see a caller hang up, before
 * the answer begins, when the request came in more than one piece; a draft would be written to its end
 * for nobody.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Server } from '@sveltejs/kit';
import type { Asset, Table } from './table.ts';

/** What open streams get to finish in when the gateway is told to stop. */
const DRAIN_MS = 10_000;

/** Longer than proxies keep a connection that they may use again. */
const KEEP_ALIVE_MS = 100_000;

/** A head comes at once; so does what is left of a body when the answer is there. */
const HEAD_MS = 10_000;
const LINGER_MS = 30_000;

/** A household needs some dozens; the rest is refused, before files run out. */
const MOST_CONNECTIONS = 400;

/** The argument that ties it to the life of who started it. */
const END_WITH_STDIN = '--end-with-stdin';

/** Never anything but loopback: a tunnel or a proxy on this machine connects to it from inside. */
const HOSTNAME = '127.0.0.1';

/** What a client may load, by path: a megabyte in all. */
type Files = Map<string, { asset: Asset; bytes: Uint8Array<ArrayBuffer> }>;

async function filesOf(table: Table, root: string): Promise<Files> {
	const all = Object.entries(table).map(async ([path, asset]) =>
		[path, { asset, bytes: await Deno.readFile(root + path) }] as const
	);
	return new Map(await Promise.all(all));
}

function file(request: Request, files: Files): Response | null {
	const { asset, bytes } = files.get(new URL(request.url).pathname) ?? {};
	if (!asset || !bytes || (request.method !== 'GET' && request.method !== 'HEAD')) return null;

	const headers = new Headers({
		'content-type': asset.type,
		'etag': asset.etag,
		'cache-control': asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
		'x-content-type-options': 'nosniff',
		'cross-origin-resource-policy': 'same-origin',
	});
	if (request.headers.get('if-none-match') === asset.etag) {
		return new Response(null, { status: 304, headers });
	}
	headers.set('content-length', String(asset.size));
	return new Response(request.method === 'HEAD' ? null : bytes, { headers });
}

function fail(message: string): never {
	console.error(`gateway: ${message}`);
	Deno.exit(1);
}

/** A body as it comes, no faster than it is read; an error when it breaks off. */
class Body {
	readonly stream: ReadableStream<Uint8Array>;
	#ended = false;

	constructor(readonly from: IncomingMessage) {
		from.pause();
		this.stream = new ReadableStream<Uint8Array>({
			start: (controller) => {
				from.on('data', (chunk: Uint8Array) => {
					if (this.#ended) return;
					controller.enqueue(new Uint8Array(chunk));
					if ((controller.desiredSize ?? 0) <= 0) from.pause();
				});
				from.on('end', () => this.#end(() => controller.close()));
				const broke = () =>
					this.#end(() => controller.error(new TypeError('the request body broke off')));
				from.on('error', broke);
				from.on('close', broke);
			},
			pull: () => void from.resume(),
			cancel: () => this.drop(),
		});
	}

	/** What is left of it is read and thrown away, so that the caller comes to read the answer. */
	drop() {
		this.#ended = true;
		this.from.resume();
	}

	#end(how: () => void) {
		if (!this.#ended) how();
		this.#ended = true;
	}
}

function requestOf(from: IncomingMessage, signal: AbortSignal): [Request, Body | null] {
	const headers = new Headers();
	for (let i = 0; i < from.rawHeaders.length; i += 2) {
		headers.append(from.rawHeaders[i]!, from.rawHeaders[i + 1]!);
	}
	const method = from.method ?? 'GET';
	const bare = method === 'GET' || method === 'HEAD' ||
		(!headers.has('transfer-encoding') && Number(headers.get('content-length') ?? 0) === 0);
	const body = bare ? null : new Body(from);
	const init = { method, headers, body: body?.stream, signal, duplex: 'half' };
	const path = from.url?.startsWith('/') ? from.url : '/';
	const url = new URL(path, `http://${headers.get('host')}`);
	return [new Request(url, init as RequestInit), body];
}

/** What is made whole before it is sent, so that its length can be told. */
const WHOLE = /^(application\/(problem\+)?json|text\/html)\b/;

async function send(response: Response, to: ServerResponse) {
	const { status, headers } = response;
	const told = headers.has('content-length') || !WHOLE.test(headers.get('content-type') ?? '');
	const whole = told ? null : await response.bytes();
	if (whole) headers.set('content-length', String(whole.length));
	else if (!response.body && status !== 204 && status !== 304) headers.set('content-length', '0');
	to.writeHead(status, [...headers].flatMap(([name, value]) => [name, value]));
	if (whole) to.write(whole);
	const reader = whole ? undefined : response.body?.getReader();
	const gone = Promise.withResolvers<void>();
	to.on('close', () => {
		gone.resolve();
		reader?.cancel().catch(() => {});
	});
	try {
		while (reader && !to.closed) {
			const { done, value } = await reader.read();
			if (done) break;
			if (to.write(value)) continue;
			await Promise.race([new Promise((resolve) => to.once('drain', resolve)), gone.promise]);
		}
		await Promise.race([new Promise<void>((resolve) => to.end(resolve)), gone.promise]);
	} catch {
		// It broke off at its source: so it must here, or it would look whole.
		to.destroy();
	}
}

/** Ours has all of them, and more; these are for an answer that the app could not give. */
const BARE = {
	'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
	'x-content-type-options': 'nosniff',
	'x-frame-options': 'DENY',
	'cache-control': 'no-store',
};

/** The app's answer; where it fails as a whole, before its own hooks, a problem (RFC 9457). */
async function answer(server: Server, request: Request, address: string): Promise<Response> {
	try {
		const response = await server.respond(request, { getClientAddress: () => address });
		if (response.status < 500 || response.headers.has('x-frame-options')) return response;
		await response.body?.cancel();
	} catch (error) {
		console.error(`gateway: ${error instanceof Error ? error.name : 'error'}`);
	}
	const title = 'The gateway failed';
	const detail = 'Try again; if it stays so, run `twin doctor`.';
	const type = 'urn:aitwin:problem:gateway-failed';
	return Response.json({ type, title, status: 500, detail }, {
		status: 500,
		headers: { ...BARE, 'content-type': 'application/problem+json' },
	});
}

type Handler = (request: Request, address: string) => Promise<Response>;

/** `open` are the answers that are not yet given. */
function listen(port: number, handler: Handler, open: Set<ServerResponse>) {
	const limits = { headersTimeout: HEAD_MS, connectionsCheckingInterval: HEAD_MS / 4 };
	const http = createServer(limits, async (from, to) => {
		open.add(to);
		to.on('close', () => open.delete(to));
		// Callers break off; whoever reads or writes then hears of it by itself.
		for (const half of [from, to]) half.on('error', () => {});
		const left = new AbortController();
		to.on('close', () => {
			if (!to.writableFinished) left.abort();
		});
		let request, body;
		try {
			[request, body] = requestOf(from, left.signal);
		} catch {
			// A name or a header that is none.
			to.writeHead(400).end();
			return;
		}
		try {
			await send(await handler(request, from.socket.remoteAddress ?? ''), to);
		} catch (error) {
			console.error(`gateway: ${error instanceof Error ? error.name : 'error'}`);
			if (!to.headersSent) to.writeHead(500);
			to.end();
		}
		body?.drop();
		open.delete(to);
		// One who never ends what nobody reads any more does not hold the connection.
		if (!from.complete) setTimeout(() => from.complete || from.destroy(), LINGER_MS);
	});
	// A mailbox may take long to come; who is slow with the head of a request is not waited for.
	http.requestTimeout = 0;
	http.maxConnections = MOST_CONNECTIONS;
	http.keepAliveTimeout = KEEP_ALIVE_MS;
	http.on('error', (error: Error & { code?: string }) => {
		if (error.code !== 'EADDRINUSE') fail(error.message);
		fail(`port ${port} is in use: stop what listens there, or choose another PORT.`);
	});
	http.listen(port, HOSTNAME, () => {
		const { address, port } = http.address() as AddressInfo;
		console.log(`gateway: http://${address}:${port}`);
	});
	return http;
}

/** Serve the built app, all of whose `modules` are loaded first, until SIGTERM or SIGINT (or the end of stdin); a second signal does not wait for open streams. */
export async function serve(
	server: Server,
	modules: (() => Promise<unknown>)[],
	table: Table,
	root: string,
	names: string[],
) {
	const port = Number(Deno.env.get('PORT') ?? '8787');
	if (!Number.isInteger(port) || port < 0 || port > 65535) fail('PORT must be 0 to 65535.');

	const env = Object.fromEntries(
		names.flatMap((name) => {
			const value = Deno.env.get(name);
			return value === undefined ? [] : [[name, value]];
		}),
	);
	let files: Files;
	try {
		await server.init({ env, read: async (name) => (await Deno.open(`${root}/${name}`)).readable });
		// After that: they look at the environment when they are loaded.
		await Promise.all(modules.map((load) => load()));
		files = await filesOf(table, root);
	} catch (error) {
		fail(error instanceof Error ? error.message : 'cannot start.');
	}

	const open = new Set<ServerResponse>();
	const handler: Handler = async (request, address) =>
		file(request, files) ?? await answer(server, request, address);
	const http = listen(port, handler, open);

	let stopping = false;
	const stop = () => {
		if (stopping) Deno.exit(1);
		stopping = true;
		setTimeout(() => Deno.exit(0), DRAIN_MS);
		http.close();
		// Not when all connections are closed: callers keep them open for requests that they may have.
		setInterval(() => open.size === 0 && Deno.exit(0), 20);
	};
	for (const signal of ['SIGTERM', 'SIGINT'] as const) Deno.addSignalListener(signal, stop);
	if (Deno.args.includes(END_WITH_STDIN)) whenStdinEnds(stop);
}

/** Whoever started it keeps a pipe open: it ends with them, however they end. */
async function whenStdinEnds(stop: () => void) {
	const bytes = new Uint8Array(64);
	while (await Deno.stdin.read(bytes).catch(() => null) !== null);
	stop();
}
