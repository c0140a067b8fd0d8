import { expect, test } from 'vitest';
import { events } from '../src/lib/sse.ts';
import { bytes, stream } from './streams.ts';

const collect = <T>(from: AsyncIterable<T>) => Array.fromAsync(from);

const RAW = [
	': a comment\n',
	'data: a\n\n',
	'data:b\r\ndata:  c\r\n\r\n',
	'event: note\rdata\rdata: ü€🙂\r\r',
	'event: nothing\n\n',
	'id: 7\ndata: {"x": "y: z"}\n\n',
	'data: unfinished',
].join('');
const EVENTS = [
	{ event: 'message', data: 'a' },
	{ event: 'message', data: 'b\n c' },
	{ event: 'note', data: '\nü€🙂' },
	{ event: 'message', data: '{"x": "y: z"}' },
];

test('events are the same wherever the stream was cut', async () => {
	const raw = bytes(RAW);
	for (let cut = 0; cut <= raw.length; cut++) {
		expect(await collect(events(stream(raw.slice(0, cut), raw.slice(cut))))).toEqual(EVENTS);
	}
	const single = Array.from(raw, (byte) => Uint8Array.of(byte));
	expect(await collect(events(stream(...single)))).toEqual(EVENTS);
});

test('a reader who leaves cancels the stream', async () => {
	let cancelled = false;
	const endless = new ReadableStream<Uint8Array>({
		pull: (controller) => controller.enqueue(bytes('data: x\n\n')),
		cancel: () => void (cancelled = true),
	});
	for await (const _ of events(endless)) break;
	expect(cancelled).toBe(true);
});
