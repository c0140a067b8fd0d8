/** A voice in the page's words: what stands before it, how its takes are graded. */
import type { components } from '#lib/api.d.ts';
import { capital, count, sentence } from '#lib/format.ts';

type Schemas = components['schemas'];
export type Voice = Schemas['Voice'];
export type VoiceSummary = Schemas['VoiceSummary'];
export type Take = Schemas['Take'];
export type EmotionState = Schemas['EmotionState'];
export type ConsentState = Schemas['ConsentState'];
export type Judged = Schemas['Judged'];
export type Uploaded = Schemas['Uploaded'];
export type Emotion = EmotionState['emotion'];

export type Tone = 'plain' | 'good' | 'warn' | 'bad';

/** Grades, the best first, and what each means. */
export const GRADES = {
	A: { tone: 'good', said: 'as good as it gets at home' },
	B: { tone: 'good', said: 'good' },
	C: { tone: 'warn', said: 'usable, better read again' },
	D: { tone: 'bad', said: 'left out of the voice' },
} as const satisfies Record<string, { tone: Tone; said: string }>;

export const toneOf = (grade: string | null): Tone =>
	GRADES[grade as keyof typeof GRADES]?.tone ?? 'plain';

export const meaning = (grade: string | null): string =>
	GRADES[grade as keyof typeof GRADES]?.said ?? 'not listened to yet';

/** "2.1 of 7 min": what was recorded, of what is wanted. */
export function minutes(seconds: number, wanted: number): string {
	const one = (value: number) => (value / 60).toFixed(1).replace(/\.0$/, '');
	return `${one(seconds)} of ${one(wanted)} min`;
}

/** "12 A, 3 B"; empty where nothing is graded. */
export function grades(counts: Readonly<Record<string, number>>): string {
	return Object.keys(GRADES)
		.filter((letter) => counts[letter])
		.map((letter) => `${counts[letter]} ${letter}`)
		.join(', ');
}

/** What to read next: the first emotion that has less than half of it, or the emptiest. */
export function emptiest(
	emotions: readonly { emotion: Emotion; seconds: number; wanted_seconds: number }[],
): Emotion {
	const share = (one: { seconds: number; wanted_seconds: number }) =>
		one.seconds / (one.wanted_seconds || 1);
	const lacking = emotions.find((one) => share(one) < 0.5);
	const least = emotions.toSorted((a, b) => share(a) - share(b))[0];
	return (lacking ?? least)?.emotion ?? 'neutral';
}

/** What a voice lacks, without the command for a terminal: the page has a button for it. */
export const lacks = (missing: string): string => missing.replace(/: `twin voice [^`]*`.*$/, '');

export interface Step {
	id: 'recordings' | 'consent' | 'preparation' | 'evaluation';
	title: string;
	/** What there is, or what it is for. */
	told: string;
	state: 'done' | 'next' | 'later' | 'doubt';
}

/** The way from nothing to a voice that speaks, and how far this one is. */
export function steps(voice: Voice): Step[] {
	const waiting = voice.recordings.filter(({ grade }) => grade === null).length;
	const { given, evaluation } = voice;
	const doubts = given?.doubts ?? [];
	const done = {
		recordings: voice.takes > 0,
		consent: given !== null && doubts.length === 0,
		preparation: voice.takes > 0 && waiting === 0 && voice.profile,
		evaluation: evaluation !== null && !evaluation.outdated,
	};
	const told: Record<Step['id'], string> = {
		recordings: voice.takes > 0
			? `${capital(count(voice.takes, 'take'))}, ${
				(voice.usable_seconds / 60).toFixed(1)
			} minutes of it usable.`
			: 'A minute is enough to begin. An hour in nine moods is the whole of it.',
		consent: given === null
			? 'Without it nothing may be cloned.'
			: doubts.length > 0
			? sentence(doubts.join('; '))
			: given.kind === 'spoken'
			? 'You have read it aloud.'
			: 'You have given your word.',
		preparation: done.preparation
			? 'All takes are listened to, mended and compared.'
			: waiting > 0
			? `${capital(count(waiting, 'take'))} to be listened to, mended and compared.`
			: 'Takes are listened to, mended and compared.',
		evaluation: evaluation === null
			? 'The twin speaks, and measures how like you it is.'
			: evaluation.outdated
			? sentence(`something has changed since: ${evaluation.outdated}`)
			: evaluation.usable
			? 'It passed: it is understood, and like you.'
			: sentence(evaluation.reasons[0] ?? 'it did not pass'),
	};
	const titles: Record<Step['id'], string> = {
		recordings: 'Recordings',
		consent: 'Your consent',
		preparation: 'Made ready',
		evaluation: 'How like you',
	};
	const ids: Step['id'][] = ['recordings', 'consent', 'preparation', 'evaluation'];
	const next = ids.find((id) => !done[id]);
	return ids.map((id) => ({
		id,
		title: titles[id],
		told: told[id],
		state: id === 'consent' && given !== null && !done.consent
			? 'doubt'
			: id === 'evaluation' && done.evaluation && !evaluation?.usable
			? 'doubt'
			: done[id]
			? 'done'
			: id === next
			? 'next'
			: 'later',
	}));
}

/** What a voice is good for, in a word or three. */
export function standing(voice: VoiceSummary): { tone: Tone; said: string } {
	if (voice.speaks_well) return { tone: 'good', said: 'Speaks well' };
	if (voice.ready && voice.speaks_well === false) return { tone: 'warn', said: 'Speaks, not well' };
	if (voice.ready) return { tone: 'good', said: 'Ready' };
	if (voice.takes === 0) return { tone: 'plain', said: 'Empty' };
	return { tone: 'plain', said: voice.consent ? 'Not ready yet' : 'Consent missing' };
}
