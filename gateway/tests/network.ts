/** The page's network: says what a test tells it, and keeps what it was asked. */
import { vi } from 'vitest';

export interface Asked {
	path: string;
	/** Fields of a form, or a JSON body. */
	body: Record<string, unknown>;
	form: boolean;
}

export const asked: Asked[] = [];

export const network: { answer: (request: Request) => Response | Promise<Response> } = {
	answer: () => new Response(null, { status: 204 }),
};

export const refused = (status: number, kind: string): Response =>
	new Response(
		JSON.stringify({ type: `urn:aitwin:problem:${kind}`, title: kind, status, detail: '' }),
		{
			status,
			headers: { 'content-type': 'application/problem+json' },
		},
	);

// Node knows no page that `/api` is relative to; the client takes both when it is made.
vi.stubGlobal(
	'Request',
	class extends Request {
		constructor(input: RequestInfo | URL, init?: RequestInit) {
			super(typeof input === 'string' ? new URL(input, 'http://127.0.0.1:8787') : input, init);
		}
	},
);
vi.stubGlobal('fetch', async (input: Request | string, init?: RequestInit) => {
	const request = typeof input === 'string' ? new Request(input, init) : input;
	const form = request.headers.get('content-type')?.startsWith('multipart/') ?? false;
	const read = () =>
		form ? request.clone().formData().then(Object.fromEntries) : request.clone().json();
	const body = request.body ? await read() : {};
	asked.push({ path: new URL(request.url).pathname, body, form });
	return network.answer(request);
});
