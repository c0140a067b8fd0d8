/** SvelteKit on Deno.serve: the running half. Static files, then the app; knows nothing of the twin. */
import type { Server } from '@sveltejs/kit';
import type { Table } from './table.ts';

/** What open streams get to finish in when the gateway is told to stop. */
const DRAIN_MS = 10_000;

/** Never anything but loopback: a tunnel or a proxy on this machine connects to it from inside. */
const HOSTNAME = '127.0.0.1';

async function file(request: Request, table: Table, root: string): Promise<Response | null> {
	const { pathname } = new URL(request.url);
	const key = table.pages[pathname] ?? pathname;
	const asset = Object.hasOwn(table.assets, key) ? table.assets[key] : undefined;
	if (!asset || (request.method !== 'GET' && request.method !== 'HEAD')) return null;

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
	const body = request.method === 'HEAD' ? null : (await Deno.open(root + key)).readable;
	return new Response(body, { headers });
}

function fail(message: string): never {
	console.error(`gateway: ${message}`);
	Deno.exit(1);
}

function listen(port: number, handler: Deno.ServeHandler<Deno.NetAddr>) {
	const onListen = (at: Deno.NetAddr) => console.log(`gateway: http://${at.hostname}:${at.port}`);
	try {
		return Deno.serve({ hostname: HOSTNAME, port, onListen }, handler);
	} catch (error) {
		if (!(error instanceof Deno.errors.AddrInUse)) throw error;
		fail(`port ${port} is in use: stop what listens there, or choose another PORT.`);
	}
}

/** Serve the built app until SIGTERM or SIGINT; a second signal does not wait for open streams. */
export async function serve(server: Server, table: Table, root: string, names: string[]) {
	const port = Number(Deno.env.get('PORT') ?? '8787');
	if (!Number.isInteger(port) || port < 0 || port > 65535) fail('PORT must be 0 to 65535.');

	const env = Object.fromEntries(
		names.flatMap((name) => {
			const value = Deno.env.get(name);
			return value === undefined ? [] : [[name, value]];
		}),
	);
	try {
		await server.init({ env, read: async (name) => (await Deno.open(`${root}/${name}`)).readable });
	} catch (error) {
		fail(error instanceof Error ? error.message : 'cannot start.');
	}

	const http = listen(port, async (request, info) =>
		await file(request, table, root) ??
			await server.respond(request, { getClientAddress: () => info.remoteAddr.hostname }));

	let stopping = false;
	const stop = async () => {
		if (stopping) Deno.exit(1);
		stopping = true;
		setTimeout(() => Deno.exit(0), DRAIN_MS);
		await http.shutdown();
		Deno.exit(0);
	};
	for (const signal of ['SIGTERM', 'SIGINT'] as const) Deno.addSignalListener(signal, stop);
}
