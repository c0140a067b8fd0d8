/** What the Speak room asks for, and what becomes of the answer. */
import { beforeEach, expect, test, vi } from 'vitest';
import { asked, network, refused } from './network.ts';
import { bytes, stream } from './streams.ts';

// The browser's way out: here, nothing is heard.
vi.stubGlobal(
	'AudioContext',
	class {
		resume = () => Promise.resolve();
		suspend = () => Promise.resolve();
	},
);

vi.stubGlobal('cancelAnimationFrame', () => {});

const { clips, speak } = await import('../src/lib/clips.svelte.ts');
const { CLIP, delivery } = await import('../src/lib/delivery.svelte.ts');

const spoken = () =>
	new Response(stream(bytes('')), {
		headers: {
			'x-voice': 'mara',
			'x-engine': 'bundled+match',
			'x-engine-report': JSON.stringify({ approximate: true }),
		},
	});
const quiet = () => vi.waitFor(() => expect(clips.list.some(({ work }) => work.busy)).toBe(false));

beforeEach(() => {
	asked.length = 0;
	for (const clip of [...clips.list]) clips.drop(clip);
	Object.assign(delivery, { voice: '', emotion: '', engine: '', speed: 1, pause: 1, clip: null });
	delivery.text = ' The kettle is on. ';
	network.answer = spoken;
});

test('a text is said as it was set, and who is heard is told (S1, S2)', async () => {
	Object.assign(delivery, { voice: 'mara', emotion: 'happy', speed: 1.2 });
	speak('Mara');
	await quiet();
	expect(asked).toEqual([{
		path: '/api/speech',
		form: false,
		body: {
			text: 'The kettle is on.',
			voice_id: 'mara',
			engine: '',
			emotion: 'happy',
			speed: 1.2,
			pause: 1,
			stream: true,
		},
	}]);
	expect(clips.list[0]?.heard?.words).toContain('Mara');
});

test('a recording goes along as a form, with the consent and without an emotion (A2)', async () => {
	const clip = new File(['sound'], 'ana.wav', { type: 'audio/wav' });
	Object.assign(delivery, { voice: CLIP, emotion: 'happy', clip });
	speak('');
	await quiet();
	const { body, form } = asked[0]!;
	expect(form).toBe(true);
	expect(body).toMatchObject({
		text: 'The kettle is on.',
		consent: 'true',
		emotion: '',
		stream: 'true',
	});
	expect(body).not.toHaveProperty('voice_id');
	expect(await (body.clip as File).text()).toBe('sound');
	expect(clips.list[0]?.heard?.words).toContain('ana.wav');
});

test('a draft is never spoken like the recording of the Speak room', () => {
	delivery.voice = CLIP;
	expect(delivery.how.voice).toBe('');
});

test('six are kept, and what is put away is stopped', async () => {
	for (let nth = 0; nth < 8; nth++) speak('');
	await quiet();
	expect(clips.list.map(({ number }) => number)).toEqual([8, 7, 6, 5, 4, 3]);
});

test('a refusal is told where it happened, and nothing can be played', async () => {
	network.answer = () => refused(409, 'no-consent');
	speak('');
	await quiet();
	expect(clips.list[0]).toMatchObject({ track: null });
	expect(clips.list[0]?.work.trouble).toMatchObject({ kind: 'no-consent' });
});
