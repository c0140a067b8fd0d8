import { expect, test } from 'vitest';
import { faults, flag, integer, number, readJson, text } from '../src/lib/server/body.ts';
import { fromKit, fromTwin, problem } from '../src/lib/server/problem.ts';
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
	});
	expect(problem('no-key').headers.get('www-authenticate')).toBe('Bearer');
});

test.each([
	[400, 422],
	[422, 422],
	[401, 502],
	[403, 502],
	[404, 502],
	[413, 413],
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
	const errors = [{ pointer: '/prompt', detail: 'is missing' }];
	expect((await fromResponse(problem('invalid-request', { errors }))).detail).toBe(
		'prompt is missing.',
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
		'a/b': 1,
	};
	expect(faults(bad, RULES, ['prompt', 'other']).map((fault) => fault.pointer)).toEqual([
		'/other',
		'/prompt',
		'/max',
		'/heat',
		'/stream',
		'/a~1b',
	]);
	expect(JSON.stringify(faults(bad, RULES, []))).not.toContain('secret');
	for (const not of [null, [], 'x', 3]) expect(faults(not, RULES, [])[0]?.pointer).toBe('');
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
	expect(await status(post('{"a":'))).toBe(422);
	expect(await status(post(''))).toBe(422);
	expect(await status(post(Uint8Array.of(0x22, 0xff, 0x22)))).toBe(422);
	expect(await status(post(`"${'x'.repeat(100)}"`))).toBe(413);
	expect(await status(post(`"${'x'.repeat(98)}"`))).toBe('x'.repeat(98));
});
