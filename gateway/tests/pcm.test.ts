import { expect, test } from 'vitest';
import { PcmStream } from '../src/lib/pcm.ts';

const SAMPLES = Int16Array.of(0, 16384, -32768, 32767, -1);
const UNKNOWN = 0xffffffff;

const text = (words: string) => new TextEncoder().encode(words);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u16 = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

const format = (kind: number, channels: number, bits: number) =>
	join(text('fmt '), u32(16), u16(kind, channels), u32(22050), u32(44100), u16(2, bits));
/** What the twin puts in: whose voice it is, and that a machine made it. */
const NOTE = join(text('LIST'), u32(14), text('INFOICMT'), u32(2), text('AI'));

const wav = (head = format(1, 1, 16)) =>
	join(
		text('RIFF'),
		u32(UNKNOWN),
		text('WAVE'),
		head,
		NOTE,
		text('data'),
		u32(UNKNOWN),
		new Uint8Array(SAMPLES.buffer),
	);

const EXPECTED = [...SAMPLES].map((sample) => sample / 32768);

test('samples are the same wherever the stream was cut (S2)', () => {
	const file = wav();
	for (let cut = 0; cut <= file.length; cut++) {
		const pcm = new PcmStream();
		const samples = [...pcm.push(file.slice(0, cut)), ...pcm.push(file.slice(cut))];
		expect(samples).toEqual(EXPECTED);
		expect(pcm.rate).toBe(22050);
	}
});

test('the file at the end has its true lengths, and keeps its note', async () => {
	const pcm = new PcmStream();
	for (const byte of wav()) pcm.push(Uint8Array.of(byte));
	const file = new Uint8Array(await pcm.file().arrayBuffer());
	const view = new DataView(file.buffer);
	expect(view.getUint32(4, true)).toBe(file.length - 8);
	expect(view.getUint32(file.length - 4 - 2 * SAMPLES.length, true)).toBe(2 * SAMPLES.length);
	expect(new TextDecoder('latin1').decode(file)).toContain('INFOICMT');
});

test.each([
	['no WAV', text('ID3 and then some more')],
	['two channels', wav(format(1, 2, 16))],
	['float samples', wav(format(3, 1, 32))],
])('%s is refused, not played as noise', (_, file) => {
	expect(() => new PcmStream().push(file)).toThrow('The sound cannot be read');
});
