import { describe, expect, it } from 'vitest';
import { sentence } from '#lib/format.ts';
import {
	type ConsentState,
	type EmotionState,
	emptiest,
	grades,
	type Judged,
	lacks,
	meaning,
	minutes,
	standing,
	steps,
	type Take,
	toneOf,
	type Voice,
} from '../src/routes/voices/voice.ts';

const take = { id: '0', emotion: 'neutral', grade: 'A', seconds: 4 } as Take;
const given = { kind: 'spoken', doubts: [], unchecked: [] } as unknown as ConsentState;
const judged = { usable: true, outdated: '', reasons: [] } as unknown as Judged;

const voice = (change: Partial<Voice> = {}) =>
	({
		takes: 1,
		seconds: 4,
		usable_seconds: 90,
		recordings: [take],
		given,
		profile: true,
		evaluation: judged,
		...change,
	}) as Voice;

const states = (change: Partial<Voice>) => steps(voice(change)).map(({ state }) => state).join(' ');

describe('the way to a voice that speaks (V1, V4)', () => {
	it.each([
		[
			'nothing yet',
			{ takes: 0, recordings: [], given: null, profile: false, evaluation: null },
			'next later later later',
		],
		['no consent', { given: null, evaluation: null }, 'done next done later'],
		[
			'a doubtful consent',
			{ given: { ...given, doubts: ['only 40 % of its words were heard'] } },
			'done doubt done done',
		],
		[
			'a take that nobody has heard',
			{ recordings: [take, { ...take, grade: null }] },
			'done done next done',
		],
		['never evaluated', { evaluation: null }, 'done done done next'],
		['outdated', { evaluation: { ...judged, outdated: 'its takes' } }, 'done done done next'],
		[
			'not passed',
			{ evaluation: { ...judged, usable: false, reasons: ['unlike you'] } },
			'done done done doubt',
		],
		['all of it', {}, 'done done done done'],
	])('%s', (_, change, expected) => expect(states(change as Partial<Voice>)).toBe(expected));

	it('tells what it lacks in whole sentences', () => {
		const told = steps(
			voice({
				recordings: [{ ...take, grade: null }],
				evaluation: { ...judged, usable: false, reasons: ['unlike you'] },
			}),
		)
			.map((step) => step.told);
		expect(told).toEqual([
			'One take, 1.5 minutes of it usable.',
			'You have read it aloud.',
			'One take to be listened to, mended and compared.',
			'Unlike you.',
		]);
	});
});

it.each([
	[{ ready: true, speaks_well: true }, 'Speaks well'],
	[{ ready: true, speaks_well: false }, 'Speaks, not well'],
	[{ ready: true, speaks_well: null }, 'Ready'],
	[{ ready: false, takes: 0 }, 'Empty'],
	[{ ready: false, consent: null }, 'Consent missing'],
	[{ ready: false, consent: 'stated' }, 'Not ready yet'],
] as [Partial<Voice>, string][])('%j is told as "%s"', (change, said) => {
	expect(standing(voice(change)).said).toBe(said);
});

it('reads next what there is least of, in the usual order while much is missing', () => {
	const at = (emotion: string, seconds: number) =>
		({ emotion, seconds, wanted_seconds: 100 }) as EmotionState;
	expect(emptiest([at('neutral', 60), at('happy', 20), at('sad', 0)])).toBe('happy');
	expect(emptiest([at('neutral', 90), at('happy', 70), at('sad', 80)])).toBe('happy');
	expect(emptiest([])).toBe('neutral');
});

it('says grades and minutes', () => {
	expect(grades({ C: 1, A: 12 })).toBe('12 A, 1 C');
	expect(minutes(126, 420)).toBe('2.1 of 7 min');
	expect([toneOf('C'), toneOf(null), meaning('D')]).toEqual([
		'warn',
		'plain',
		'left out of the voice',
	]);
	expect([sentence('too loud'), sentence('Is it on?')]).toEqual(['Too loud.', 'Is it on?']);
});

it.each([
	['preparation of 3 takes: `twin voice prepare thota`', 'preparation of 3 takes'],
	['your consent: `twin voice consent thota` says how to give it', 'your consent'],
	['30 s of good speech more', '30 s of good speech more'],
])('sends nobody to a terminal: %s', (missing, told) => expect(lacks(missing)).toBe(told));
