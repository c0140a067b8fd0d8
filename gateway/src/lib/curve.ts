/** Loss curves as numbers: points, scales, paths, words. Draws nothing (see Curve.svelte). */

export interface Point {
	step: number;
	/** Nats per reply token. */
	loss: number;
}

/** What a run measured so far. Both lines are in the order of their steps, one point for each. */
export interface Curve {
	/** Of the batch of one step: noisy. */
	training: readonly Point[];
	/** On replies that the run does not learn from: what counts. */
	heldOut: readonly Point[];
}

/** One line of an adapter's history, as the trainer writes it. */
export interface Entry {
	step: number;
	validation?: number | null;
	training?: number | null;
}

/** What a run tells after each step. */
export interface Step {
	step: number;
	loss?: number | null;
	/** The latest held-out loss, which most steps only repeat. */
	validation?: number | null;
}

export const NOTHING: Curve = { training: [], heldOut: [] };

/** Share of a new value in a smoothed line, for each step: some ten remain visible in it. */
const SMOOTHING = 0.18;
const FEW = 8;

export function ofHistory(history: readonly Entry[]): Curve {
	const line = (of: (entry: Entry) => number | null | undefined) =>
		ordered(history.map((entry) => ({ step: entry.step, loss: of(entry) ?? NaN })));
	return { training: line((entry) => entry.training), heldOut: line((entry) => entry.validation) };
}

/** The curve with one more step; one that it has already, or is past, adds nothing. */
export function grown(curve: Curve, now: Step): Curve {
	const { training, heldOut } = curve;
	if (now.step <= lastStep(curve)) return curve;
	const latest = heldOut.at(-1);
	// Of a run that is watched from its first step on, the first figure was measured before it.
	const step = !latest && now.step <= 1 ? 0 : now.step;
	const repeats = latest !== undefined && latest.loss === now.validation;
	return {
		training: ordered([...training, { step: now.step, loss: now.loss ?? NaN }]),
		heldOut: repeats ? heldOut : ordered([...heldOut, { step, loss: now.validation ?? NaN }]),
	};
}

/** What a run told step by step. */
export const ofSteps = (steps: readonly Entry[]): Curve =>
	steps.reduce(
		(curve, { training, ...rest }) => grown(curve, { loss: training, ...rest }),
		NOTHING,
	);

export const lastStep = ({ training, heldOut }: Curve): number =>
	Math.max(training.at(-1)?.step ?? 0, heldOut.at(-1)?.step ?? 0);

/** By step, the last of those with the same one; what is no number is no point. */
function ordered(points: readonly Point[]): Point[] {
	const known = points.filter(({ step, loss }) => Number.isFinite(step) && Number.isFinite(loss));
	return [...new Map(known.map((point) => [point.step, point])).values()]
		.sort((one, other) => one.step - other.step);
}

/**
 * An exponential mean that does not lean towards its first value (Kingma and Ba, 2015). Points that
 * are far apart have little to do with each other, and stay nearly as they are.
 */
export function smoothed(points: readonly Point[]): Point[] {
	// A few say all by themselves.
	if (points.length < FEW) return [...points];
	let sum = 0;
	let weight = 0;
	let before = 0;
	return points.map(({ step, loss }) => {
		const share = 1 - (1 - SMOOTHING) ** Math.max(1, step - before);
		before = step;
		sum += share * (loss - sum);
		weight += share * (1 - weight);
		return { step, loss: sum / weight };
	});
}

export function best(curve: Curve): Point | undefined {
	return curve.heldOut.reduce<Point | undefined>(
		(least, point) => (least === undefined || point.loss < least.loss ? point : least),
		undefined,
	);
}

export function nearest(points: readonly Point[], step: number): Point | undefined {
	return points.reduce<Point | undefined>(
		(near, point) =>
			near === undefined || Math.abs(point.step - step) < Math.abs(near.step - step) ? point : near,
		undefined,
	);
}

export interface Axis {
	low: number;
	high: number;
	ticks: number[];
}

/** Round numbers (1, 2 or 5 times a power of ten) that hold `low` to `high`, `count` or so apart. */
export function axis(low: number, high: number, count: number): Axis {
	const span = high - low || Math.max(Math.abs(high), 1) / 10;
	const rough = span / Math.max(1, count);
	const power = 10 ** Math.floor(Math.log10(rough));
	const unit = power * ([1, 2, 5].find((times) => times * power >= rough * 0.999) ?? 10);
	const first = Math.floor(low / unit + 1e-9);
	// A flat line would lie on the floor and be taken for none.
	const last = Math.max(Math.ceil(high / unit - 1e-9), first + 1);
	// Multiplied, not added up: 0.1 + 0.2 is no tick.
	const ticks = Array.from(
		{ length: last - first + 1 },
		(_, index) => round((first + index) * unit),
	);
	return { low: ticks[0]!, high: ticks.at(-1)!, ticks };
}

const round = (value: number) => Number(value.toPrecision(12));

export interface Axes {
	steps: Axis;
	loss: Axis;
}

/** Axes that all curves share, so that they can be compared; `total` steps are planned. */
export function axes(curves: readonly Curve[], total = 0): Axes {
	const steps = [total, 1];
	const losses: number[] = [];
	for (const { training, heldOut } of curves) {
		// Not the single steps: one odd batch would press all else flat. It is cut off instead.
		for (const { step, loss } of [...smoothed(training), ...heldOut]) {
			steps.push(step);
			losses.push(loss);
		}
	}
	const last = Math.max(...steps);
	const loss = losses.length > 0
		? axis(Math.min(...losses), Math.max(...losses), 4)
		: { low: 0, high: 1, ticks: [] };
	const whole = axis(0, last, 5);
	const ticks = whole.ticks.filter((tick) => Number.isInteger(tick) && tick <= last);
	return { steps: { low: 0, high: last, ticks }, loss };
}

/** Where a value lies between `from` and `to`. */
export function place(axis: Axis, from: number, to: number): (value: number) => number {
	return (value) => from + ((value - axis.low) / (axis.high - axis.low)) * (to - from);
}

/** An SVG path through the points, to a tenth of a pixel. */
export function path(
	points: readonly Point[],
	x: (step: number) => number,
	y: (loss: number) => number,
): string {
	const [first, ...rest] = points.map(({ step, loss }) =>
		`${x(step).toFixed(1)} ${y(loss).toFixed(1)}`
	);
	if (first === undefined) return '';
	// One point alone is drawn, too: as a dot, by the round ends of a line to where it is.
	return `M${[first, ...(rest.length > 0 ? rest : [first])].join('L')}`;
}

/** The curve in a sentence, for those who do not see it. */
export function told(curve: Curve): string {
	const first = curve.heldOut[0];
	const last = curve.heldOut.at(-1);
	if (!first || !last) return 'Nothing was measured yet.';
	if (first === last) return `The held-out loss is ${loss(first.loss)} before training.`;
	const least = best(curve)!;
	const came = last.loss < first.loss ? 'fell' : last.loss > first.loss ? 'rose' : 'stayed';
	const way = came === 'stayed'
		? `stayed at ${loss(last.loss)}`
		: `${came} from ${loss(first.loss)} to ${loss(last.loss)}`;
	const where = least === last
		? 'which is the best so far'
		: `best ${loss(least.loss)} at step ${least.step}`;
	return `The held-out loss ${way} in ${last.step} steps, ${where}.`;
}

export const loss = (value: number) => value.toFixed(value < 10 ? 3 : 1);
