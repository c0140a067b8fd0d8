import { expect, it } from 'vitest';
import { heights, outline, peaks } from '#lib/wave.ts';

it('keeps the loudest sample of each stretch, none left out', () => {
	const samples = new Float32Array(1000);
	samples[0] = 0.25;
	samples[499] = -0.5;
	samples[999] = 2;
	expect(peaks(samples, 3)).toEqual([0.25, 0.5, 1]);
	expect(peaks(samples.subarray(0, 2), 5)).toEqual([0.25, 0]);
	expect(peaks(new Float32Array(), 5)).toEqual([]);
});

it('draws loudness as it is heard', () => {
	const [full, half, whisper, nothing] = heights([1, 0.501187, 0.01, 0]);
	expect(full).toBe(1);
	expect(half).toBeCloseTo(1 - 6 / 48, 4);
	expect(whisper).toBeCloseTo(1 - 40 / 48, 4);
	expect(nothing).toBe(0);
});

it('draws one bar a height, about the middle', () => {
	expect(outline([1, 0.5], 10, 20)).toBe('M2.5 0V20M7.5 5V15');
	expect(outline([0], 10, 20)).toBe('M5 9.5V10.5');
});
