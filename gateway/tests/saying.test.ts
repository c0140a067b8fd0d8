import { expect, test } from 'vitest';
import { type Said, sayings } from '../src/lib/saying.ts';
import { bytes, stream } from './streams.ts';

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

async function read(raw: string): Promise<{ said: Said[]; trouble?: unknown }> {
	const said: Said[] = [];
	try {
		for await (const item of sayings(stream(bytes(raw)))) said.push(item);
		return { said };
	} catch (trouble) {
		return { said, trouble };
	}
}

const VOICE = event('voice', { voice: 'mara', engine: 'bundled+match', approximate: true });
const DONE = event('done', { text: 'No.', finish_reason: 'length', taken_off: ['sign-off'] });

test('text and sound come in the order of the stream, then how it ended (A1, S3)', async () => {
	const sound = event('audio', { chunk: btoa('\x00\xff\x7f') });
	const { said, trouble } = await read(VOICE + event('text', { delta: 'No.' }) + sound + DONE);
	expect(trouble).toBeUndefined();
	expect(said.map(({ kind }) => kind)).toEqual(['voice', 'text', 'audio', 'done']);
	expect(said[1]).toEqual({ kind: 'text', delta: 'No.' });
	expect(said[2]).toEqual({ kind: 'audio', bytes: Uint8Array.of(0, 255, 127) });
	expect(said[3]).toEqual({ kind: 'done', ending: { cut: true, takenOff: ['sign-off'] } });
});

test('a stream that ends too early, or in a problem, is in trouble', async () => {
	expect((await read(VOICE)).trouble).toMatchObject({ title: 'The draft broke off' });
	const problem = event('problem', {
		type: 'urn:aitwin:problem:busy',
		title: 'Busy',
		detail: 'Wait.',
	});
	expect((await read(VOICE + problem)).trouble).toMatchObject({ title: 'Busy', kind: 'busy' });
});

test('what is not as it should be is not told: no "undefined" in a draft, and no fault of the page', async () => {
	const { said } = await read(
		VOICE + event('text', {}) + event('done', { taken_off: [1, 'offer'] }),
	);
	expect(said.slice(1)).toEqual([
		{ kind: 'text', delta: '' },
		{ kind: 'done', ending: { cut: false, takenOff: ['offer'] } },
	]);
	const broken = await read(`${VOICE}event: text\ndata: {"del\n\n`);
	expect(broken.trouble).toMatchObject({ title: 'The draft broke off' });
});
