import { describe, expect, it } from 'vitest';
import { Meter, room, roomAdvice, SILENCE, voiceAdvice, words } from '#lib/meter.ts';

const RATE = 48_000;

/** A tone of so many seconds at a level, dBFS, as blocks of 50 ms. */
function* tone(seconds: number, level: number): Generator<Float32Array> {
	const amplitude = 10 ** (level / 20) * Math.SQRT2;
	const size = RATE / 20;
	for (let block = 0; block < Math.round(seconds * 20); block++) {
		yield Float32Array.from(
			{ length: size },
			(_, at) => amplitude * Math.sin((2 * Math.PI * 220 * (block * size + at)) / RATE),
		);
	}
}

function hear(meter: Meter, ...parts: [seconds: number, level: number][]): Meter {
	for (const [seconds, level] of parts) for (const block of tone(seconds, level)) meter.hear(block);
	return meter;
}

describe('the meter (V1)', () => {
	it('tells level and peak in dBFS', () => {
		const meter = hear(new Meter(RATE), [0.5, -20]);
		expect(meter.level).toBeCloseTo(-20, 1);
		expect(meter.peak).toBeCloseTo(-17, 1);
	});

	it('counts what was said, and not the room', () => {
		const meter = hear(new Meter(RATE, -60), [1, -60], [2, -25], [0.5, -60], [1, -25]);
		const { said, speech } = meter.levels();
		expect(said).toBeCloseTo(3, 5);
		expect(speech).toBeCloseTo(-25, 1);
	});

	it('takes no click for a syllable', () => {
		expect(hear(new Meter(RATE, -60), [1, -60], [0.05, -10], [1, -60]).said).toBe(0);
	});

	it('hears a whisper where one is asked for', () => {
		const heard = (whispered: boolean) =>
			hear(new Meter(RATE, -75, whispered), [1, -75], [2, -66]).said;
		expect(heard(true)).toBeCloseTo(2, 5);
		expect(heard(false)).toBe(0);
	});

	it('ends a sentence that was read after a rest, and waits for one that was not', () => {
		const read = hear(new Meter(RATE, -60), [2, -25], [1.3, -70]);
		expect(read.finished(8)).toBe(true);
		expect(read.finished(30)).toBe(false);
		expect(hear(read, [2, -70]).finished(30)).toBe(true);
	});

	it('asks somebody who says nothing, after ten seconds', () => {
		const meter = hear(new Meter(RATE, -60), [9, -70]);
		expect(meter.finished(5)).toBe(false);
		expect(hear(meter, [1.5, -70]).finished(5)).toBe(true);
	});

	it('counts samples at full scale', () => {
		const meter = new Meter(RATE);
		meter.hear(Float32Array.of(0.5, 1, -1, 0.9994));
		expect(meter.clipped).toBe(2);
	});
});

describe('the room', () => {
	it('is as loud as it mostly is, and a door is told', () => {
		const quiet = Array.from({ length: 40 }, () => -62);
		expect(room(quiet)).toEqual({ noise: expect.closeTo(-62, 5), disturbed: false });
		expect(room([...quiet, -30])).toEqual({ noise: expect.closeTo(-62, 5), disturbed: true });
	});

	it('gets advice where something helps', () => {
		expect(roomAdvice({ noise: -62, disturbed: false })).toEqual([]);
		expect(roomAdvice({ noise: -40, disturbed: false })).toEqual([
			expect.stringContaining('The room is loud (-40 dB)'),
		]);
		expect(roomAdvice(room(Array.from({ length: 40 }, () => SILENCE)))[0]).toContain('muted');
	});
});

describe('advice on a voice', () => {
	const good = { said: 3, speech: -25, peak: -9, clipped: 0, silent: false };

	it.each([
		[{}, null],
		[{ silent: true, said: 0 }, 'nothing at all'],
		[{ said: 0 }, 'Nothing was heard'],
		[{ clipped: 3, peak: 0 }, 'Too loud'],
		[{ peak: -2 }, 'Nearly too loud'],
		[{ speech: -45 }, 'Quiet'],
		[{ speech: -41 }, 'Only 14 dB above the room'],
	])('%j', (change, told) => {
		const advice = voiceAdvice({ ...good, ...change }, -55);
		expect(advice.length).toBe(told === null ? 0 : 1);
		if (told !== null) expect(advice[0]).toContain(told);
	});

	it('leaves a whisper its softness', () => {
		expect(voiceAdvice({ ...good, speech: -50 }, -55, true)).toEqual([]);
	});
});

it('counts words, not spaces', () => expect(words('  Put the  flour in.\n')).toBe(4));
