import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vitest/config';
import deno from './adapter/index.ts';
import manifest from './package.json' with { type: 'json' };

export default defineConfig({
	plugins: [
		sveltekit({
			adapter: deno({
				env: [
					'TWIN_UPSTREAM',
					'TWIN_TOKEN',
					'TWIN_HOSTS',
					'TWIN_PROXY',
					'TWIN_ACCESS_TEAM',
					'TWIN_ACCESS_AUD',
					'TWIN_ACCESS_KEYS',
					'TWIN_RATE',
				],
			}),
			// Kit's own check runs before the hooks, refuses programs that upload without an Origin and
			// ignores cross-origin JSON. src/hooks.server.ts covers every content type instead.
			csrf: { trustedOrigins: ['*'] },
			csp: {
				mode: 'nonce',
				directives: {
					'default-src': ['none'],
					'script-src': ['self'],
					'style-src': ['self'],
					// The one style attribute there is: Kit's announcer of page changes to screen readers. A new
					// Kit may change it; the browser's console then names the new hash.
					'style-src-attr': [
						'unsafe-hashes',
						'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo=',
					],
					'img-src': ['self'],
					// Speech that was just made, and takes as they lie at FastAPI.
					'media-src': ['blob:', 'self'],
					'connect-src': ['self'],
					'base-uri': ['none'],
					// Reports that FastAPI made.
					'frame-src': ['self'],
					'form-action': ['self'],
					'frame-ancestors': ['none'],
				},
			},
			// A fixed name instead of the time of day: the same source gives the same build.
			version: { name: manifest.version },
		}),
	],
	build: { license: true },
	test: { include: ['tests/*.test.ts'], environment: 'node' },
});
