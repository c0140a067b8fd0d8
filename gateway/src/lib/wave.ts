/** A recording as a picture: what a waveform is drawn from. Draws nothing, and plays nothing. */

/** The loudest sample of each of `bars` equal stretches, 0 to 1; fewer bars than samples. */
export function peaks(samples: Float32Array, bars: number): number[] {
	const count = Math.min(bars, samples.length);
	return Array.from({ length: count }, (_, bar) => {
		const start = Math.floor((bar * samples.length) / count);
		const end = Math.floor(((bar + 1) * samples.length) / count);
		let top = 0;
		for (let at = start; at < end; at++) top = Math.max(top, Math.abs(samples[at]!));
		return Math.min(1, top);
	});
}

/**
 * Bars as they are heard rather than as they measure: of `floor` dB and less 0, of full scale 1. A
 * whisper then has a picture, too.
 */
export function heights(bars: readonly number[], floor = -48): number[] {
	return bars.map((top) => Math.max(0, 1 - 20 * Math.log10(Math.max(top, 1e-9)) / floor));
}

/** A path of one rounded bar for each height, in a box of `width` by `height`, about its middle. */
export function outline(bars: readonly number[], width: number, height: number): string {
	const step = width / Math.max(1, bars.length);
	return bars.map((bar, at) => {
		const half = Math.max(0.5, (bar * height) / 2);
		const x = round((at + 0.5) * step);
		return `M${x} ${round(height / 2 - half)}V${round(height / 2 + half)}`;
	}).join('');
}

function round(value: number): number {
	return Math.round(value * 100) / 100;
}
