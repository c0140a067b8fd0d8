import { expect, test } from 'vitest';
import {
	axes,
	axis,
	best,
	type Curve,
	grown,
	nearest,
	NOTHING,
	ofHistory,
	ofSteps,
	path,
	place,
	smoothed,
	told,
} from '../src/lib/curve.ts';

const line = (...losses: number[]) => losses.map((loss, step) => ({ step, loss }));

test('a history gives both lines, in the order of steps, without what is no number', () => {
	const curve = ofHistory([
		{ step: 0, validation: 4.3 },
		{ step: 20, validation: 3.1, training: null },
		{ step: 10, validation: 3.5, training: 3.9 },
		{ step: 30, validation: NaN, training: Infinity },
		{ step: 20, validation: 3.2 },
	]);
	expect(curve.heldOut).toEqual([
		{ step: 0, loss: 4.3 },
		{ step: 10, loss: 3.5 },
		{ step: 20, loss: 3.2 },
	]);
	expect(curve.training).toEqual([{ step: 10, loss: 3.9 }]);
});

test('a run grows step by step; a held-out loss that is only repeated is no new point', () => {
	let curve: Curve = NOTHING;
	for (const [step, loss, validation] of [[1, 4, 4.3], [2, 3.9, 4.3], [3, 3.8, 3.7]] as const) {
		curve = grown(curve, { step, loss, validation });
	}
	expect(curve.heldOut).toEqual([{ step: 0, loss: 4.3 }, { step: 3, loss: 3.7 }]);
	expect(curve.training.map(({ step }) => step)).toEqual([1, 2, 3]);
	expect(ofSteps([
		{ step: 1, training: 4, validation: 4.3 },
		{ step: 2, training: 3.9, validation: 4.3 },
		{ step: 3, training: 3.8, validation: 3.7 },
	])).toEqual(curve);
	// A stream that was broken tells again what it told before.
	expect(grown(curve, { step: 2, loss: 3.9, validation: 4.3 })).toBe(curve);
});

test('a run that is watched from its middle has its first figure where it was seen', () => {
	const curve = grown(NOTHING, { step: 40, loss: 3, validation: 2.5 });
	expect(curve.heldOut).toEqual([{ step: 40, loss: 2.5 }]);
	const known = ofHistory([{ step: 0, validation: 4 }, { step: 30, validation: 2.5 }]);
	expect(grown(known, { step: 40, loss: 3, validation: 2.5 }).heldOut).toEqual(known.heldOut);
});

test('a smoothed line keeps a level as it is, and does not lean towards its first value', () => {
	expect(smoothed(line(9, 2))).toEqual(line(9, 2));
	expect(smoothed(line(...Array(9).fill(3))).every(({ loss }) => Math.abs(loss - 3) < 1e-12)).toBe(
		true,
	);
	const jump = smoothed(line(9, ...Array(60).fill(2)));
	expect(jump[0]!.loss).toBeCloseTo(9);
	expect(jump.at(-1)!.loss).toBeCloseTo(2, 2);
	const sparse = line(9, 2, 9, 2, 9, 2, 9, 2).map(({ step, loss }) => ({ step: 20 * step, loss }));
	for (const [at, { loss }] of smoothed(sparse).entries()) {
		expect(loss).toBeCloseTo(sparse[at]!.loss, 0);
	}
});

test.each([
	[2.31, 4.29, 4],
	[0.0012, 0.0019, 4],
	[-3, 7, 5],
	[0, 600, 5],
	[5, 5, 4],
	[0, 0, 4],
])('the axis of %d to %d has few round ticks that hold it', (low, high, count) => {
	const { ticks, ...ends } = axis(low, high, count);
	expect(ends.low).toBeLessThanOrEqual(low);
	expect(ends.high).toBeGreaterThanOrEqual(high);
	expect(ticks.length).toBeGreaterThanOrEqual(2);
	expect(ticks.length).toBeLessThanOrEqual(count + 3);
	const widths = ticks.slice(1).map((tick, index) => tick - ticks[index]!);
	const digits = widths[0]!.toExponential(1).replace(/e.*/, '');
	expect(['1.0', '2.0', '5.0']).toContain(digits);
	for (const width of widths) expect(width).toBeCloseTo(widths[0]!, 9);
});

test('one odd batch does not press the rest flat', () => {
	const odd = line(...Array.from({ length: 40 }, (_, step) => (step === 20 ? 30 : 3 - step / 40)));
	const { loss } = axes([{ training: odd, heldOut: line(3, 2.5) }]);
	expect(loss.high).toBeLessThan(10);
});

test('axes hold the planned steps, and all curves at once', () => {
	const { steps, loss } = axes([
		{ training: [], heldOut: line(4, 3) },
		{ training: [], heldOut: [{ step: 70, loss: 1.2 }] },
	], 60);
	expect([steps.low, steps.high]).toEqual([0, 70]);
	expect(steps.ticks.every((tick) => Number.isInteger(tick) && tick <= 70)).toBe(true);
	expect(loss.low).toBeLessThanOrEqual(1.2);
	expect(loss.high).toBeGreaterThanOrEqual(4);
	expect(axes([NOTHING]).steps.high).toBe(1);
});

test('a path goes where the axes put it', () => {
	const x = place({ low: 0, high: 10, ticks: [] }, 0, 100);
	const y = place({ low: 2, high: 4, ticks: [] }, 50, 0);
	expect(path([{ step: 0, loss: 4 }, { step: 10, loss: 2 }], x, y)).toBe('M0.0 0.0L100.0 50.0');
	expect(path([], x, y)).toBe('');
	expect(path([{ step: 5, loss: 3 }], x, y)).toBe('M50.0 25.0L50.0 25.0');
});

test('the nearest point, and the best of the held-out ones', () => {
	const curve = { training: line(1, 1), heldOut: line(4, 2, 3) };
	expect(nearest(curve.heldOut, 1.6)?.step).toBe(2);
	expect(nearest([], 1)).toBeUndefined();
	expect(best(curve)).toEqual({ step: 1, loss: 2 });
	expect(best(NOTHING)).toBeUndefined();
});

test.each([
	[[], 'Nothing was measured yet.'],
	[[4], 'The held-out loss is 4.000 before training.'],
	[[4, 3], 'The held-out loss fell from 4.000 to 3.000 in 1 steps, which is the best so far.'],
	[[4, 2, 3], 'The held-out loss fell from 4.000 to 3.000 in 2 steps, best 2.000 at step 1.'],
	[[2, 12], 'The held-out loss rose from 2.000 to 12.0 in 1 steps, best 2.000 at step 0.'],
])('the curve %j is told in a sentence', (losses, sentence) => {
	expect(told({ training: [], heldOut: line(...losses) })).toBe(sentence);
});
