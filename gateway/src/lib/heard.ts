/** Whose voice is heard, by what, and why by nothing better: told as it is, never better. */
import { list, parsed, type Raw, record, text } from './record.ts';

export interface Heard {
	/** In a sentence. */
	words: string;
	/** It is the owner's voice, or near to it. */
	own: boolean;
	engine: string;
	emotion: string;
	/** Better engines, and why they do not speak. */
	passed: readonly { engine: string; why: string }[];
	/** Characters of the text that have no sound. */
	unspoken: number;
	/** An inaudible mark in the sound says that it was made. */
	marked: boolean;
}

interface Report {
	cloned?: boolean;
	approximate?: boolean;
	emotion?: string;
	marked?: boolean;
	unspoken?: number;
	passed?: { engine: string; why: string }[];
}

/** From the headers of an answer that is speech. `name` is how the owner calls a voice by its id. */
export function heardIn(headers: Headers, name: (id: string) => string = () => ''): Heard {
	return heard(
		headers.get('x-voice') ?? '',
		headers.get('x-engine') ?? '',
		reportOf(parsed(headers.get('x-engine-report')) ?? {}),
		name,
	);
}

/** What was told, as far as it is a report. */
export function reportOf(raw: Raw): Report {
	return {
		cloned: raw.cloned === true,
		approximate: raw.approximate === true,
		emotion: text(raw.emotion),
		marked: raw.marked === true,
		unspoken: typeof raw.unspoken === 'number' ? raw.unspoken : 0,
		passed: list(raw.passed).map(record).map(({ engine, why }) => ({
			engine: text(engine),
			why: text(why),
		})),
	};
}

/** From what the twin says of a voice that it speaks in. */
export function heard(
	voice: string,
	engine: string,
	report: Report,
	name: (id: string) => string = () => '',
): Heard {
	const { cloned = false, approximate = false, emotion = '', passed = [] } = report;
	const called = name(voice);
	const whose = called ? `The voice “${called}”` : 'Your voice';
	const words = cloned
		? `${whose}, cloned.`
		: approximate
		? `The bundled voice, moved towards ${
			called ? `“${called}”` : 'yours'
		}: near it, no clone of it.`
		: 'The bundled voice: nobody’s, and not yours.';
	return {
		words,
		own: cloned || approximate,
		engine,
		emotion,
		passed,
		unspoken: report.unspoken ?? 0,
		marked: report.marked ?? false,
	};
}

/** How like the voice the speech is, in a sentence; from the headers of an answer that measured it. */
export function likenessIn(headers: Headers): string {
	const report = parsed(headers.get('x-similarity-report')) ?? {};
	const bounds = record(report.same_from);
	const lacking = text(report.lacking);
	const measured = Object.entries(record(report.likeness)).flatMap(([encoder, value]) => {
		if (typeof value !== 'number') return [];
		const bound = bounds[encoder];
		const told = typeof bound !== 'number'
			? ''
			: ` (one person is at ${bound.toFixed(2)} and more)`;
		return `${value.toFixed(2)} by ${encoder}${told}`;
	});
	if (measured.length > 0) return `Likeness to the voice itself: ${measured.join('; ')}.`;
	return `The likeness cannot be measured: ${lacking || 'nothing was told'}.`;
}
