import { expect, test } from 'vitest';
import { completion, retold, wantsEvents } from '../src/lib/server/words.ts';

test("A3's fields are told in the words of OpenAI's API", () => {
	expect(completion({ prompt: 'a', style_reference: 'b', context: 'c', seed: 1 })).toEqual({
		model: 'twin',
		messages: [{ role: 'user', content: 'a' }],
		reference: 'b',
		context: 'c',
		kind: 'reply',
		seed: 1,
		stream: false,
	});
});

test('a context is answered, if nothing else is said', () => {
	expect(completion({ prompt: 'a', context: 'c', kind: 'rewrite' }).kind).toBe('rewrite');
	expect(completion({ prompt: 'a' })).not.toHaveProperty('kind');
});

test("what FastAPI finds wrong is told by A3's names", () => {
	const detail = '#/messages/0/content: is no text; #/reference: is too long';
	expect(JSON.parse(retold(JSON.stringify({ detail, errors: [{ pointer: '#/messages' }] }))))
		.toEqual(
			{
				detail: '#/prompt: is no text; #/style_reference: is too long',
				errors: [{ pointer: '#/prompt' }],
			},
		);
});

test.each([
	[null, false],
	['*/*', false],
	['application/json', false],
	['text/event-stream', true],
	['application/json;q=0, text/event-stream', true],
	['text/event-stream;q=0', false],
	['text/event-stream;q=0.5, application/json', false],
	['Text/Event-Stream ; q=0.9, */*;q=0.8', true],
	['application/json, text/event-stream', false],
	['text/html, text/event-stream;q=x', false],
])('Accept: %s asks for events: %s', (accept, events) => {
	expect(wantsEvents(accept)).toBe(events);
});
