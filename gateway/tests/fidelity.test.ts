import { expect, test } from 'vitest';
import { again } from '../src/routes/data/sets/[id]/again.ts';
import { figure, interval, sections } from '../src/routes/training/[name]/fidelity.ts';

const estimate = (value: number) => ({ value, low: value / 2, high: value * 2, count: 9 });

test('measures stand in sections; details are left to the whole page, and new ones have a name', () => {
	const measures = {
		'memory.overlap': { twin: estimate(0.01) },
		'manner.length_distance': { twin: estimate(1) },
		'manner.distance': { twin: estimate(1) },
		'manner.some_new_trait': { twin: estimate(2) },
		'elsewhere.thing': { twin: estimate(3) },
	};
	expect(sections({ measures }).map(({ title, rows }) => [title, rows.map((row) => row.title)]))
		.toEqual([
			['Manner', ['distance of manner', 'some new trait']],
			['Learnt by heart', ['runs of words out of training']],
		]);
});

test.each([
	['attribution.body', 0.84, '84 %'],
	['attribution.body_auc', 0.84, '0.84'],
	['memory.private', 0.004, '0.4 %'],
	['memory.private', 0, '0 %'],
	['faults.cut', 0.05, '5 %'],
	['likelihood.perplexity', 7.3074, '7.31'],
	['likelihood.perplexity', 1234.5, '1,235'],
	['manner.length', 16.85, '16.9'],
])('%s of %d is read as "%s"', (key, value, words) => expect(figure(key, value)).toBe(words));

test('an interval that is not known is not shown', () => {
	expect(interval('attribution.body', { value: 1, low: 0.44, high: 1, count: 3 })).toBe('44–100');
	expect(interval('attribution.body', { value: 1, low: null, high: null, count: 1 })).toBe('');
});

test('a dataset is built again as it was wished for', () => {
	const settings = {
		size: 800,
		seed: 3,
		languages: ['en'],
		mail_share: 0.4,
		tokens: { row: 512, counted_by: 'estimate' },
		instructions: 'llm',
		allow_small: true,
		near_duplicate: 0.85,
	};
	expect(again({ id: 'chats', settings })).toEqual({
		name: 'chats',
		size: 800,
		seed: 3,
		languages: ['en'],
		mail_share: 0.4,
		tokens: 512,
		instructions: 'llm',
		allow_small: true,
	});
	expect(again({ id: 'old', settings: { languages: [], mail_share: null } })).toMatchObject({
		size: 1000,
		languages: null,
		mail_share: null,
		tokens: null,
		instructions: 'rules',
		allow_small: false,
	});
});
