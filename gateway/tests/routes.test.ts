import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bounded, refused, type Taken } from '../src/lib/server/body.ts';
import { find, ROUTES } from '../src/lib/server/routes.ts';

test('a path of FastAPI finds its route, by its method', () => {
	const route = (method: string, path: string) => find(method, path).route?.path;
	expect(route('GET', '/voices')).toBe('/voices');
	expect(route('GET', '/voices/ana')).toBe('/voices/{id}');
	expect(route('POST', '/voices/uploads')).toBe('/voices/uploads');
	expect(route('DELETE', '/access/tokens/token:0a1b2c')).toBe('/access/tokens/{id}');
	expect(route('GET', '/voices/ana/takes/1f3a5c7e9b2d4f60/audio')).toBe(
		'/voices/{id}/takes/{take}/audio',
	);
	expect(find('PUT', '/voices').route).toBeNull();
	expect(find('PUT', '/voices').allow.toSorted()).toEqual(['GET', 'POST']);
});

test.each([
	'/access/check',
	'/access/login',
	'/access/logout',
	'/docs',
	'/openapi.json',
	'',
	'/',
	'/voices/',
	'//voices',
	'/voices/../access/check',
	'/voices/..',
	'/voices/.',
	'/voices/a%2Fb',
	'/voices/%2e%2e',
	'/voices/a\\b',
	'/voices/a b',
	'/voices/a\n',
	'/voices/ä',
	'/voices/a%0Ab',
	'/voices/%20a',
	'/voices/a%5Cb',
	'/voices/a%C3%a9',
	`/voices/${'a'.repeat(201)}`,
	'/Voices',
])('%j is passed to nobody', (path) => {
	for (const method of ['GET', 'POST', 'PATCH', 'DELETE']) {
		expect(find(method, path).route).toBeNull();
	}
});

test.each(['main', 'chats%20only', '%C3%A9t%C3%A9', '_old', 'v1.2-b'])(
	'a dataset may be called %s',
	(name) => {
		expect(find('GET', `/datasets/${name}`).route?.path).toBe('/datasets/{id}');
	},
);

test('who may only write and speak reaches nothing of the rest', () => {
	const used = ROUTES.filter(({ scope }) => scope === 'use').map(({ method, path }) =>
		`${method} ${path}`
	);
	expect(used.toSorted()).toEqual([
		'GET /engines',
		'GET /health',
		'GET /shelf',
		'GET /v1/audio/voices',
		'GET /v1/models',
		'GET /v1/models/{model}',
		'GET /voices',
		'POST /say',
		'POST /speech',
		'POST /v1/audio/speech',
		'POST /v1/chat/completions',
	]);
});

const JSON_TYPE = 'application/json; charset=utf-8';
const FORM = 'multipart/form-data; boundary=----x1';

test.each<[Taken, string | null, boolean]>([
	['json', JSON_TYPE, true],
	['json', 'Application/JSON', true],
	['json', 'application/jsonp', false],
	['json', 'text/plain', false],
	['json', null, false],
	['form', FORM, true],
	['form', 'multipart/form-data; boundary="a b"', true],
	['form', 'multipart/form-data', false],
	['form', 'multipart/form-data; boundary=', false],
	['form', `multipart/form-data; boundary=${'x'.repeat(71)}`, false],
	['form', 'multipart/mixed; boundary=x', false],
	['form', JSON_TYPE, false],
	['json or form', JSON_TYPE, true],
	['json or form', FORM, true],
	['json or form', 'audio/wav', false],
	['bytes', null, true],
	['bytes', 'application/zip', true],
])('a route for %s and a body that says %j: %j', (taken, type, good) => {
	const headers = new Headers(type === null ? {} : { 'content-type': type });
	const no = refused(headers, taken, 10);
	expect(no?.status ?? 200).toBe(good ? 200 : 415);
	if (no) expect(no.headers.get('accept')).toBeTruthy();
});

test('a length that is declared is looked at before the body', () => {
	const says = (length: string) => refused(new Headers({ 'content-length': length }), 'bytes', 10);
	expect(says('10')).toBeNull();
	expect(says('11')?.status).toBe(413);
});

test('a body of unknown length is cut off at its limit', async () => {
	const body = (max: number, over = () => {}) => {
		const stream = new Blob(['abc', 'defg']).stream();
		const init = { method: 'POST', body: stream, duplex: 'half' };
		return new Response(bounded(new Request('http://x/', init as RequestInit), max, over)).text();
	};
	expect(await body(7)).toBe('abcdefg');
	let over = false;
	await expect(body(6, () => over = true)).rejects.toThrow();
	expect(over).toBe(true);
});

/** FastAPI's own list of its routes, as `aitwin.server.openapi` writes it. */
interface Operation {
	'x-twin-scope'?: string;
	requestBody?: { content: Record<string, unknown> };
}
const OPENAPI: { paths: Record<string, Record<string, Operation>> } = JSON.parse(
	readFileSync(new URL('../openapi.json', import.meta.url), 'utf-8'),
);
const bare = (path: string) => path.replaceAll(/\{\w+\}/g, '{}');
const OPERATIONS = Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
	Object.entries(methods).map(([method, operation]) => ({
		name: `${method.toUpperCase()} ${bare(path)}`,
		operation,
	}))
);
/** The door asks these itself, and nobody through it. */
const KEPT = ['POST /access/check', 'POST /access/login', 'POST /access/logout'];

test("every route of FastAPI's is passed on, or kept at the door on purpose", () => {
	const passed = ROUTES.map(({ method, path }) => `${method} ${bare(path)}`);
	const told = OPERATIONS.map(({ name }) => name);
	expect(told.filter((name) => !passed.includes(name)).toSorted()).toEqual(KEPT);
	expect(passed.filter((name) => !told.includes(name))).toEqual([]);
	expect(new Set(passed).size).toBe(passed.length);
});

test.each(ROUTES)('$method $path is for whom FastAPI says, and takes what it reads', (route) => {
	const name = `${route.method} ${bare(route.path)}`;
	const operation = OPERATIONS.find((one) => one.name === name)?.operation;
	// FastAPI tells anyone with the credential that it is alive.
	if (name !== 'GET /health') expect(route.scope).toBe(operation?.['x-twin-scope']);
	const types = Object.keys(operation?.requestBody?.content ?? {});
	const reads = types.map((type) =>
		type === 'application/json' ? 'json' : type === 'multipart/form-data' ? 'form' : 'bytes'
	);
	expect(route.takes).toBe(reads.join(' or ') || 'nothing');
});
