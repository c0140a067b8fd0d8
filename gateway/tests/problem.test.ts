import { expect, test } from 'vitest';
import {
	either,
	faults,
	flag,
	integer,
	isBroken,
	number,
	oneOf,
	readJson,
	text,
} from '../src/lib/server/body.ts';
import openapi from '../openapi.json' with { type: 'json' };
import { fromKit, fromTwin, KINDS, problem } from '../src/lib/server/problem.ts';
import { fromResponse } from '../src/lib/trouble.ts';

test('a problem is an RFC 9457 document', async () => {
	const response = problem('twin-down', { headers: { 'retry-after': '5' } });
	expect(response.status).toBe(503);
	expect(response.headers.get('content-type')).toBe('application/problem+json');
	expect(response.headers.get('retry-after')).toBe('5');
	expect(await response.json()).toEqual({
		type: 'urn:aitwin:problem:twin-down',
		title: 'The twin is not running',
		status: 503,
		detail: 'Start it with `twin serve`, then try again.',
		// For the clients of OpenAI's API.
		error: {
			message: 'The twin is not running. Start it with `twin serve`, then try again.',
			type: 'server_error',
			code: 'twin-down',
		},
	});
	expect(problem('no-key').headers.get('www-authenticate')).toBe('Bearer');
});

test.each([
	[400, 422],
	[422, 422],
	[401, 502],
	[403, 502],
	[404, 404],
	[405, 405],
	[413, 413],
	[415, 415],
	[429, 429],
	[500, 502],
	[503, 503],
	[504, 504],
])('the twin says %i, the caller hears %i', (from, to) => {
	expect(problem(fromTwin(from)).status).toBe(to);
});

test('the framework refuses in our words', () => {
	expect([404, 405, 500, 400].map(fromKit)).toEqual([
		'not-found',
		'wrong-method',
		'gateway-failed',
		'gateway-failed',
	]);
});

test('the page reads a problem, and survives what is none', async () => {
	const down = await fromResponse(problem('twin-down'));
	expect([down.title, down.status]).toEqual(['The twin is not running', 503]);
	const errors = [{ pointer: '#/prompt', detail: 'is missing' }];
	expect((await fromResponse(problem('invalid-request', { errors }))).detail).toBe(
		'What I want to say is missing.',
	);
	expect((await fromResponse(new Response('<html>', { status: 500 }))).status).toBe(500);
});

const RULES = { prompt: text(10), max: integer(1, 5), heat: number(0, 2), stream: flag };

test('good fields have no faults; null counts as absent', () => {
	const good = { prompt: 'hi', max: 5, heat: 0.5, stream: false };
	expect(faults(good, RULES, ['prompt'])).toEqual([]);
	expect(faults({ prompt: 'hi', max: null }, RULES, ['prompt'])).toEqual([]);
});

test('every fault is named at once, none with its value', () => {
	const bad = {
		prompt: 'secret words that are too long',
		max: 1.5,
		heat: NaN,
		stream: 'yes',
		'secret name': 1,
		'another': 2,
	};
	expect(faults(bad, RULES, ['prompt', 'other']).map((fault) => fault.pointer)).toEqual([
		'#/other',
		'#/prompt',
		'#/max',
		'#/heat',
		'#/stream',
		'#/…',
	]);
	expect(JSON.stringify(faults(bad, RULES, []))).not.toContain('secret');
	for (const not of [null, [], 'x', 3]) expect(faults(not, RULES, [])[0]?.pointer).toBe('#');
	expect(faults({ constructor: 1, prompt: '  ' }, RULES, []).length).toBe(2);
});

const post = (body: BodyInit, type = 'application/json') =>
	new Request('http://127.0.0.1/', { method: 'POST', body, headers: { 'content-type': type } });

async function status(request: Request, max = 100) {
	const value = await readJson(request, max);
	return value instanceof Response ? value.status : value;
}

test('a body is read as JSON within its bound', async () => {
	expect(await status(post('{"a":"ü"}', 'application/json; charset=utf-8'))).toEqual({ a: 'ü' });
	expect(await status(post('{}', 'text/plain'))).toBe(415);
	expect(await status(post('{"a":'))).toBe(400);
	expect(await status(post(''))).toBe(400);
	expect(await status(post(Uint8Array.of(0x22, 0xff, 0x22)))).toBe(400);
	expect(await status(post(`"${'x'.repeat(100)}"`))).toBe(413);
	expect(await status(post(`"${'x'.repeat(98)}"`))).toBe('x'.repeat(98));
});

test('what a caller who hung up leaves behind is told from a fault of ours', () => {
	const named = (name: string) => Object.assign(new Error('x'), { name });
	for (const name of ['AbortError', 'BadResource', 'ConnectionReset']) {
		expect(isBroken(named(name))).toBe(true);
	}
	expect(isBroken(new TypeError('the request body broke off'))).toBe(true);
	for (const bug of [new TypeError('x is not a function'), named('NotFound'), 'x', null]) {
		expect(isBroken(bug)).toBe(false);
	}
});

test('a problem that FastAPI has, too, is the same there', () => {
	const theirs = new Map<string, [number, string]>();
	JSON.stringify(openapi, (_, value) => {
		const kind = /^urn:aitwin:problem:(.+)$/.exec(value?.type ?? '')?.[1];
		if (kind && value.title) theirs.set(kind, [value.status, value.title]);
		return value;
	});
	const both = Object.entries(KINDS).filter(([kind]) => theirs.has(kind));
	expect(both.length).toBeGreaterThan(4);
	for (const [kind, [status, title]] of both) {
		expect([kind, ...theirs.get(kind)!]).toEqual([kind, status, title]);
	}
});

test('a body that does not come is not waited for', async () => {
	const stuck = new ReadableStream<Uint8Array>({
		start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
	});
	const request = new Request('http://127.0.0.1/', {
		method: 'POST',
		body: stuck,
		headers: { 'content-type': 'application/json' },
		duplex: 'half',
	} as RequestInit);
	const value = await readJson(request, 100, 20);
	expect((value as Response).status).toBe(408);
});

test('a field may be one of some words, or of another kind', () => {
	const rules = { length: either(oneOf('short', 'long'), integer(1, 9)) };
	for (const length of ['short', 9]) expect(faults({ length }, rules, [])).toEqual([]);
	expect(faults({ length: 'secret' }, rules, [])).toEqual([
		{ pointer: '#/length', detail: 'must be short, long, or must be a whole number from 1 to 9' },
	]);
});
