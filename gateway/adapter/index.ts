/** SvelteKit on Deno.serve: the build step. The built gateway needs no node_modules. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Adapter } from '@sveltejs/kit';
import type { Asset, Table } from './table.ts';

export interface Options {
	/** The only environment variables that the app may see. */
	env: string[];
	out?: string;
}

/**
 * How to start the build: arguments of `deno`, for either kind of upstream. Whoever starts it
 * replaces {build}, {port} and {upstream} (host:port) or {socket}. Everything else is denied.
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
			'--allow-net=127.0.0.1:{port},unix:{socket},twin.invalid:80',
			'--allow-read={build}/client,{socket}',
			'--allow-write={socket}',
			'{build}/main.js',
		],
	};
}

const MAIN = (env: string[]) =>
	`import { server } from './server/server.js';
import { serve } from './serve.ts';
import table from './assets.json' with { type: 'json' };

await serve(server, table, new URL('./client', import.meta.url).pathname, ${JSON.stringify(env)});
`;

export default function adapter({ env, out = 'build' }: Options): Adapter {
	return {
		name: 'aitwin-deno',
		adapt(builder) {
			rmSync(out, { force: true, recursive: true });
			const files = [
				...builder.writeClient(`${out}/client`),
				...builder.writePrerendered(`${out}/client`),
			];
			builder.generateServerInstance(`${builder.getServerDirectory()}/server.js`);
			builder.copy(builder.getServerDirectory(), `${out}/server`);

			const asset = (file: string): Asset => {
				const bytes = readFileSync(`${out}/client/${file}`);
				return {
					type: builder.mimeTypes[file.slice(file.lastIndexOf('.'))] ?? 'application/octet-stream',
					etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
					size: bytes.length,
					immutable: file.startsWith(`${builder.getAppPath()}/immutable/`),
				};
			};
			const table: Table = {
				assets: Object.fromEntries(files.toSorted().map((file) => [`/${file}`, asset(file)])),
				pages: Object.fromEntries(
					[...builder.prerendered.pages].map(([path, { file }]) => [path, `/${file}`]),
				),
			};
			writeFileSync(`${out}/assets.json`, JSON.stringify(table));
			writeFileSync(`${out}/launch.json`, JSON.stringify(launch(env), null, '\t'));
			copyFileSync(new URL('./serve.ts', import.meta.url), `${out}/serve.ts`);
			// Last: a build without it is not complete.
			writeFileSync(`${out}/main.js`, MAIN(env));
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
