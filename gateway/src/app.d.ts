import type { Caller } from '#lib/server/callers.ts';
import type { Way } from '#lib/server/way.ts';

declare global {
	/** The one Deno name that the app uses (under Vite's tests it is absent). */
	const Deno:
		| {
			createHttpClient(options: {
				/** Milliseconds. */
				poolIdleTimeout: number;
				proxy?: { transport: string; path: string };
			}): unknown;
		}
		| undefined;

	namespace App {
		interface Locals {
			way: Way;
			/** null: nobody that is known; only /login and its form are open to them. */
			caller: Caller | null;
		}
	}
}

export {};
