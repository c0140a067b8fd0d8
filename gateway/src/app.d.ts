declare global {
	/** The one Deno name that the app uses (under Vite's tests it is absent). */
	const Deno:
		| { createHttpClient(options: { proxy: { transport: 'unix'; path: string } }): unknown }
		| undefined;
}

export {};
