/** SvelteKit on Deno: the build step. The built gateway needs no node_modules. */
import { createHash } from 'node:crypto';
import {
	copyFileSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import type { Adapter } from '@sveltejs/kit';
import type { Asset, Table } from './table.ts';

export interface Options {
	/** The only environment variables that the app may see. */
	env: string[];
	out?: string;
}

/**
 * How to start the build: arguments of `deno`, for either kind of upstream. Whoever starts it
 * replaces {build}, {port} and {upstream} (host:port) or {socket}; where there is TWIN_ACCESS_KEYS,
 * what `keys` names goes before the last argument, with that path for {keys}. Everything else is denied.
 */
function launch(env: string[]) {
	const always = [
		'run',
		'--quiet',
		'--no-prompt',
		'--no-config',
		'--no-npm',
		'--no-remote',
		'--deny-import',
		'--cached-only',
		// Without it `request.signal` also fires after a request that went well.
		'--unstable-no-legacy-abort',
		`--allow-env=${['PORT', ...env].join()}`,
	];
	return {
		tcp: [
			...always,
			'--allow-net=127.0.0.1:{port},{upstream}',
			'--allow-read={build}/client',
			'{build}/main.js',
		],
		unix: [
			...always,
			'--allow-net=127.0.0.1:{port},unix:{socket},127.0.0.1:49151',
			'--allow-read={build}/client,{socket}',
			'--allow-write={socket}',
			'{build}/main.js',
		],
		keys: ['--allow-read={keys}'],
	};
}

/** Names every module of the server, so that the running half can load them all when it starts. */
const MAIN = (env: string[], modules: string[]) =>
	`import { server } from './server/server.js';
import { serve } from './serve.ts';
import table from './assets.json' with { type: 'json' };

const modules = [
${modules.map((file) => `	() => import(${JSON.stringify(`./server/${file}`)}),`).join('\n')}
];
const root = new URL('./client', import.meta.url).pathname;
await serve(server, modules, table, root, ${JSON.stringify(env)});
`;

export default function adapter({ env, out: place = 'build' }: Options): Adapter {
	return {
		name: 'aitwin-deno',
		adapt(builder) {
			// Made beside it and put in its place at the end: a gateway that starts meanwhile finds a whole one.
			const out = builder.getBuildDirectory('aitwin-deno');
			rmSync(out, { force: true, recursive: true });
			// Such a page would come without the gate, its nonce and its headers.
			const [prerendered] = builder.prerendered.paths;
			if (prerendered) throw new Error(`${prerendered} must not be prerendered`);
			const files = builder.writeClient(`${out}/client`);
			builder.generateServerInstance(`${builder.getServerDirectory()}/server.js`);
			builder.copy(builder.getServerDirectory(), `${out}/server`, {
				filter: (name) => !name.endsWith('.map') && name !== '.vite',
			});
			// Both halves are handed on with the package, so what they owe to others goes with them.
			const licences = [builder.getClientDirectory(), builder.getServerDirectory()]
				.map((half) => readFileSync(`${half}/.vite/license.md`, 'utf-8'));
			writeFileSync(`${out}/LICENSES.md`, licences.join('\n'));

			const asset = (file: string): Asset => {
				const bytes = readFileSync(`${out}/client/${file}`);
				return {
					type: builder.mimeTypes[file.slice(file.lastIndexOf('.'))] ?? 'application/octet-stream',
					etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
					size: bytes.length,
					immutable: file.startsWith(`${builder.getAppPath()}/immutable/`),
				};
			};
			const table: Table = Object.fromEntries(
				files.toSorted().map((file) => [`/${file}`, asset(file)]),
			);
			writeFileSync(`${out}/assets.json`, JSON.stringify(table));
			writeFileSync(`${out}/launch.json`, JSON.stringify(launch(env), null, '\t'));
			copyFileSync(new URL('./serve.ts', import.meta.url), `${out}/serve.ts`);
			const modules = readdirSync(`${out}/server`, { recursive: true, encoding: 'utf-8' })
				.filter((file) => file.endsWith('.js'))
				.toSorted();
			// Last: a build without it is not complete.
			writeFileSync(`${out}/main.js`, MAIN(env, modules));
			rmSync(place, { force: true, recursive: true });
			renameSync(out, place);
		},
		supports: { read: () => true },
		vite: {
			plugins: {
				post: [{
					name: 'aitwin-deno',
					apply: 'build',
					config: () => ({ ssr: { noExternal: true } }),
				}],
			},
		},
	};
}
