import { expect, test } from 'vitest';
import { type Ending, pieces } from '../src/lib/draft.ts';
import { Trouble } from '../src/lib/trouble.ts';
import { bytes, stream } from './streams.ts';

const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
const delta = (content: string | null) => event({ choices: [{ delta: { content } }] });
const DONE = 'data: [DONE]\n\n';

async function read(raw: string): Promise<{ text: string; ending?: Ending; trouble?: unknown }> {
	const coming = pieces(stream(bytes(raw)));
	let text = '';
	try {
		for (;;) {
			const { done, value } = await coming.next();
			if (done) return { text, ending: value };
			text += value;
		}
	} catch (trouble) {
		return { text, trouble };
	}
}

test('a draft is the text of its chunks, and nothing after its end', async () => {
	const raw = delta(null) + delta('Thursday') + delta(' works.') + event({ choices: [] }) + DONE;
	expect((await read(raw + delta('not this'))).text).toBe('Thursday works.');
});

test('a draft tells whether it was cut, and what was taken off it (W3)', async () => {
	const end = (finish_reason: string, taken_off: string[]) =>
		delta('x') + event({ choices: [{ delta: {}, finish_reason }], taken_off }) + DONE;
	expect((await read(end('length', ['offer']))).ending).toEqual({ cut: true, takenOff: ['offer'] });
	expect((await read(end('stop', []))).ending).toEqual({ cut: false, takenOff: [] });
});

test.each(['', event({ error: { message: 'x' } }), 'data: not json\n\n'])(
	'a draft that ends in %j is in trouble, and keeps what came before',
	async (end) => {
		const { text, trouble } = await read(delta('Thurs') + end);
		expect(text).toBe('Thurs');
		expect(trouble).toBeInstanceOf(Trouble);
		expect((trouble as Trouble).title).toBe('The draft broke off');
	},
);

test('what went wrong in the middle is told in the words of the twin', async () => {
	const problem = {
		type: 'urn:aitwin:problem:out-of-memory',
		title: 'No memory',
		detail: 'Close.',
	};
	const { trouble } = await read(delta('Thurs') + event({ ...problem, error: {} }));
	expect(trouble).toMatchObject({ title: 'No memory', detail: 'Close.', kind: 'out-of-memory' });
});
