/**
 * How loud a room and a voice are while they are heard, and what to do about it: the sound check of
 * `aitwin/voice/soundcheck.py`, with its numbers. The verdict on a take is the twin's, on all of it.
 */

/** dBFS given for digital silence. */
export const SILENCE = -120;
/** Of full scale: 16-bit converters stop a step below it. */
const CLIP = 0.9995;
/** dB over the room at which a block counts as said. */
const ABOVE_NOISE = 8;
/** dBFS; in a quieter room a rustle would count as said. */
const LEAST_NOISE = -70;
/** dB: a whisper is 20 to 30 dB softer than speech, and stays under 8 over a room's noise. */
const WHISPER_ABOVE_NOISE = 5;
/** dBFS: many a converter's own noise. */
const LEAST_WHISPER_NOISE = -90;
/** Seconds; a key or a click is shorter, a syllable longer. */
const ONSET = 0.08;
/** Seconds of quiet after which a sentence is over. */
const REST = 1.2;
/** The same while much of the sentence is still to be read. */
const LONG_REST = 3;
/** Seconds of speech that a word takes at least. */
const PER_WORD = 0.18;
/** Seconds after which somebody who says nothing is asked why. */
const UNHEARD = 10;
/** Seconds of a word read slowly, pauses and all. */
const SLOW_WORD = 0.6;
/** Seconds; nobody reads a sentence so long. */
export const LONGEST = 120;

const LOUD_ROOM = -50; // dBFS
/** dBFS: what is taken for a room louder than that is somebody who spoke, and would hide speech. */
const MOST_NOISE = -40;
const DISTURBED = 20; // dB over the room's own level: a door, a word, a passing lorry
const QUIET_VOICE = -42; // dBFS
const NEAR_CLIP = -3; // dBFS of the peak
const CLEAR = 20; // dB of voice over room

/** How loud something said was. */
export interface Levels {
	/** Seconds of it, pauses left out. */
	said: number;
	/** Mean level of what was said, dBFS; SILENCE when nothing was. */
	speech: number;
	/** dBFS. */
	peak: number;
	/** Samples at full scale. */
	clipped: number;
	/** Whether every sample was zero: the microphone gave nothing at all. */
	silent: boolean;
}

/** What a microphone hears while nobody speaks. */
export interface Room {
	/** dBFS. */
	noise: number;
	/** Whether something was heard that is not the room's own. */
	disturbed: boolean;
}

/** Follows the level block by block, and knows what was said from what was quiet. */
export class Meter {
	/** Of the last block, dBFS. */
	level = SILENCE;
	/** Of the last block's loudest sample, dBFS. */
	top = SILENCE;
	/** Of all of it, dBFS. */
	peak = SILENCE;
	/** Samples at full scale. */
	clipped = 0;
	/** Seconds heard so far. */
	seconds = 0;
	/** Seconds of what was said. */
	said = 0;
	/** Seconds since something was last said. */
	quiet = 0;

	#rate: number;
	#threshold: number;
	#run = 0;
	#runPower = 0;
	#power = 0;

	/** `noise`: of the room, dBFS; `whispered`: what is to be heard is soft. */
	constructor(rate: number, noise = LEAST_NOISE, whispered = false) {
		this.#rate = rate;
		noise = Math.min(noise, MOST_NOISE);
		this.#threshold = whispered
			? Math.max(noise, LEAST_WHISPER_NOISE) + WHISPER_ABOVE_NOISE
			: Math.max(noise, LEAST_NOISE) + ABOVE_NOISE;
	}

	/** Takes the next block. */
	hear(block: Float32Array): void {
		if (block.length === 0) return;
		const seconds = block.length / this.#rate;
		let power = 0;
		let top = 0;
		for (const sample of block) {
			const size = Math.abs(sample);
			power += size * size;
			if (size > top) top = size;
			if (size >= CLIP) this.clipped += 1;
		}
		this.level = decibels(Math.sqrt(power / block.length));
		this.top = decibels(top);
		this.peak = Math.max(this.peak, this.top);
		this.seconds += seconds;
		if (this.level < this.#threshold) {
			this.#run = this.#runPower = 0;
			this.quiet += seconds;
			return;
		}
		const before = this.#run;
		this.#run += seconds;
		this.#runPower += seconds * 10 ** (this.level / 10);
		if (this.#run < ONSET) {
			this.quiet += seconds;
			return;
		}
		// The onset counts only once it has proved to be one.
		this.said += before < ONSET ? this.#run : seconds;
		this.#power += this.#runPower;
		this.#runPower = 0;
		this.quiet = 0;
	}

	/** Whether the reader of so many words has come to the end, or says nothing at all. */
	finished(words: number): boolean {
		if (this.said === 0) return this.seconds >= Math.max(UNHEARD, words * SLOW_WORD);
		const rest = this.said >= words * PER_WORD ? REST : LONG_REST;
		return this.quiet >= rest || this.seconds >= LONGEST;
	}

	/** What was heard so far. */
	levels(): Levels {
		const { said, peak, clipped } = this;
		const speech = said > 0 ? decibels(Math.sqrt(this.#power / said)) : SILENCE;
		return { said, speech, peak, clipped, silent: peak === SILENCE };
	}
}

/** Seconds for which a peak stands, so that it can be read. */
const STANDS = 1;
/** dB in a second, once it falls. */
const FALLS = 24;

/** The loudest of late: it stands, then falls. */
export class Peak {
	/** dBFS. */
	level = SILENCE;
	#for = 0;

	/** `top`: of the next block of so many `seconds`, dBFS. */
	hear(top: number, seconds: number): void {
		if (top >= this.level) {
			this.level = top;
			this.#for = 0;
			return;
		}
		this.#for += seconds;
		if (this.#for > STANDS) this.level = Math.max(top, this.level - FALLS * seconds);
	}
}

/** What is heard in a stretch of silence, from the levels of its blocks, dBFS. */
export function room(levels: readonly number[]): Room {
	const sorted = levels.toSorted((a, b) => a - b);
	// Without the loudest tenth: a creak does not make a room loud.
	const calm = sorted.slice(0, Math.max(1, Math.round(sorted.length * 0.9)));
	const power = calm.reduce((sum, level) => sum + 10 ** (level / 10), 0) / calm.length;
	const noise = Math.max(SILENCE, 10 * Math.log10(power));
	const loudest = sorted.at(-1) ?? SILENCE;
	// Noise at the edge of nothing jumps by more than that when a bit flips.
	return { noise, disturbed: loudest - noise > DISTURBED && loudest > LEAST_NOISE };
}

/** Whether a room was heard as it is: what is wrong with it may be somebody who spoke. */
export const believable = ({ noise, disturbed }: Room): boolean => !disturbed && noise <= LOUD_ROOM;

/** What would make a room better, in plain words; empty for a good one. */
export function roomAdvice({ noise, disturbed }: Room): string[] {
	const found: string[] = [];
	if (noise === SILENCE) {
		found.push('The microphone gives nothing at all: it may be muted, or be another one.');
	}
	if (disturbed) found.push('Something was heard in between. Keep still and check again.');
	if (noise > LOUD_ROOM) {
		found.push(
			`The room is loud (${noise.toFixed(0)} dB). Switch off fans, close the window, come closer ` +
				'to the microphone.',
		);
	}
	return found;
}

/** What would make a voice heard better, in plain words; empty when it is heard well. */
export function voiceAdvice(levels: Levels, noise: number, whispered = false): string[] {
	if (levels.silent) return ['The microphone gave nothing at all. Is it muted?'];
	if (levels.said === 0) {
		return [
			`Nothing was heard above the room (${
				noise.toFixed(0)
			} dB). Read aloud, about a hand and a half ` +
			'from the microphone, or hear the room again.',
		];
	}
	const found: string[] = [];
	if (levels.clipped > 0) {
		found.push('Too loud. Lower the input level in the sound settings, or move back a little.');
	} else if (levels.peak > NEAR_CLIP) {
		found.push('Nearly too loud. Lower the input level a little, or move back.');
	}
	// A whisper is soft by nature, and no fault.
	if (whispered) return found;
	if (levels.speech < QUIET_VOICE) {
		found.push('Quiet. Come closer, or raise the input level in the sound settings.');
	} else if (levels.speech - noise < CLEAR) {
		const above = (levels.speech - noise).toFixed(0);
		found.push(`Only ${above} dB above the room. Come closer, or find a quieter room.`);
	}
	return found;
}

/** How many words a reader has before him. */
export function words(text: string): number {
	return text.split(/\s+/).filter(Boolean).length;
}

/** dBFS of an amplitude; at least SILENCE. */
export function decibels(amplitude: number): number {
	return Math.max(SILENCE, 20 * Math.log10(Math.max(amplitude, 1e-9)));
}
