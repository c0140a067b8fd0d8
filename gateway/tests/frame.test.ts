/** The small parts of the page's frame: words, ways, work. */
import { describe, expect, test, vi } from 'vitest';
import { ask, asking } from '../src/lib/ask.svelte.ts';
import * as format from '../src/lib/format.ts';
import { heard, heardIn, likenessIn } from '../src/lib/heard.ts';
import { local } from '../src/lib/local.ts';
import { asTrouble, fromBody, Trouble } from '../src/lib/trouble.ts';
import toasts from '../src/lib/toasts.svelte.ts';
import { Work } from '../src/lib/work.svelte.ts';

test.each([
	['/speak', '/speak'],
	['/data/sets/1?split=test', '/data/sets/1?split=test'],
	[null, '/'],
	['', '/'],
	['https://elsewhere.example/', '/'],
	['//elsewhere.example/', '/'],
	['/\\elsewhere.example/', '/'],
	['/\t/elsewhere.example/', '/'],
	['/.//elsewhere.example/', '/'],
	['javascript:alert(1)', '/'],
	['speak', '/'],
])('after signing in, %j leads to %j (P2)', (next, to) => expect(local(next)).toBe(to));

describe('a failed answer', () => {
	const type = 'application/problem+json';

	test('is told in the words of its problem document', () => {
		const document = { type: 'urn:aitwin:problem:busy', title: 'Busy', detail: 'Wait.' };
		expect(fromBody(429, `${type}; charset=utf-8`, JSON.stringify(document))).toMatchObject({
			title: 'Busy',
			detail: 'Wait.',
			status: 429,
			kind: 'busy',
		});
	});

	test('is a sentence, however the twin worded it', () => {
		const told = (detail: string) =>
			fromBody(409, type, JSON.stringify({ title: 'No', detail })).detail;
		expect(told('run `twin init` first')).toBe('Run `twin init` first.');
		expect(told('Wait.')).toBe('Wait.');
		expect(told('')).toBe('');
	});

	test('names every field that is wrong', () => {
		const errors = [{ pointer: '#/speed', detail: 'is too high' }, {
			pointer: '?q',
			detail: 'is long',
		}];
		const trouble = fromBody(422, type, JSON.stringify({ title: 'No', detail: 'x', errors }));
		expect(trouble.detail).toBe('Speed is too high; q is long.');
		expect(trouble.faults).toEqual({ speed: 'is too high', q: 'is long' });
		const [pointer, detail] = ['#/context', 'String should have at most 9 characters'];
		const long = JSON.stringify({ title: 'No', errors: [{ pointer, detail }] });
		expect(fromBody(422, type, long).detail).toBe(`What came in: ${detail}.`);
	});

	test.each([['text/html', '<h1>Bad gateway</h1>'], [type, 'not json'], [type, 'null'], [
		null,
		'',
	]])(
		'of type %j is told by its number when it is no problem document',
		(type, body) => expect(fromBody(502, type, body).detail).toContain('502'),
	);
});

describe('whose voice is heard', () => {
	const report = (more: object) =>
		new Headers({
			'x-voice': 'mara',
			'x-engine': 'some',
			'x-engine-report': JSON.stringify(more),
		});

	test('is told as it is: a clone, near to it, or nobody (S1)', () => {
		const name = () => 'Mara';
		expect(heardIn(report({ cloned: true }), name)).toMatchObject({ own: true });
		expect(heardIn(report({ cloned: true }), name).words).toContain('Mara');
		expect(heardIn(report({ approximate: true }), name).words).toContain('no clone');
		const nobody = heardIn(report({ passed: [{ engine: 'x', why: 'y' }] }), name);
		expect(nobody.own).toBe(false);
		expect(nobody.words).not.toContain('Mara');
		expect(nobody.passed).toHaveLength(1);
	});

	test('is never the owner’s where nothing is told', () => {
		expect(heardIn(new Headers()).own).toBe(false);
		expect(heardIn(new Headers({ 'x-engine-report': '{' })).own).toBe(false);
		expect(heard('base', 'bundled', {}).own).toBe(false);
	});
});

test('the likeness is told with what it is worth, or why there is none (S1)', () => {
	const told = (report: object) =>
		likenessIn(new Headers({ 'x-similarity-report': JSON.stringify(report) }));
	expect(told({ likeness: { ge2e: 0.715 }, same_from: { ge2e: 0.75 } })).toBe(
		'Likeness to the voice itself: 0.71 by ge2e (one person is at 0.75 and more).',
	);
	expect(told({ likeness: {}, same_from: {}, lacking: 'no encoder is here' })).toContain(
		'no encoder is here',
	);
	expect(likenessIn(new Headers())).toContain('cannot be measured');
});

test('numbers and spans are told as they are read', () => {
	expect(format.count(1, 'take')).toBe('one take');
	expect(format.count(1204, 'take')).toBe('1,204 takes');
	expect(format.bytes(18e9)).toBe('18.0 GB');
	expect(format.bytes(999)).toBe('999 bytes');
	expect(format.bytes(1000)).toBe('1.0 kB');
	expect(format.clock(0)).toBe('0:00');
	expect(format.clock(3723.9)).toBe('1:02:03');
	expect(format.span(59)).toBe('59 s');
	expect(format.span(4800)).toBe('1 h 20 min');
	expect(format.percent(0.829)).toBe('83 %');
});

test('a day is told from where the reader stands', () => {
	const now = new Date(2026, 10, 29, 0, 30);
	expect(format.when(new Date(2026, 10, 29, 0, 5), now)).toBe('today, 0:05');
	expect(format.when(new Date(2026, 10, 28, 23, 59), now)).toBe('yesterday, 23:59');
	expect(format.when(new Date(2026, 10, 12, 14, 5), now)).toBe('12 Nov 2026, 14:05');
});

describe('a piece of work', () => {
	test('runs alone', async () => {
		const work = new Work<'a' | 'b'>();
		let go = (_: number) => {};
		const first = work.run(() => new Promise<number>((resolve) => (go = resolve)), 'a');
		expect(work.doing).toBe('a');
		expect(await work.run(() => Promise.resolve(2), 'b')).toBeUndefined();
		go(1);
		expect(await first).toBe(1);
		expect(work.busy).toBe(false);
	});

	test('that is stopped is in no trouble', async () => {
		const work = new Work();
		const done = work.run((signal) =>
			new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
		);
		work.stop();
		expect(await done).toBeUndefined();
		expect(work).toMatchObject({ stopped: true, trouble: null, busy: false });
	});

	test('that fails is in trouble until it is done again', async () => {
		const work = new Work();
		await work.run(() => Promise.reject(new Trouble('Busy', 'Wait.')));
		expect(work.trouble?.title).toBe('Busy');
		await work.run(() => Promise.reject(new TypeError('network error')));
		expect(work.trouble?.title).toBe('The connection broke');
		await work.run(() => Promise.resolve());
		expect(work.trouble).toBeNull();
	});
});

test('a question that is asked over another answers that with no', async () => {
	const about = (title: string) => ({ title, text: '', action: 'Do it' });
	const first = ask(about('first'));
	const second = ask(about('second'));
	expect(asking.question?.title).toBe('second');
	asking.answer(true);
	expect(await first).toBe(false);
	expect(await second).toBe(true);
	expect(asking.question).toBeNull();
});

test('three notes stand at most, and go by themselves; one with a way back stays longer', () => {
	vi.useFakeTimers();
	for (const text of ['a', 'b', 'c', 'd']) toasts.say(text);
	toasts.say('e', { label: 'Undo', run() {} });
	expect(toasts.list.map(({ text }) => text)).toEqual(['c', 'd', 'e']);
	vi.advanceTimersByTime(5_000);
	expect(toasts.list.map(({ text }) => text)).toEqual(['e']);
	vi.advanceTimersByTime(5_000);
	expect(toasts.list).toEqual([]);
	vi.useRealTimers();
});

test('a toast that is pointed at stays; left, it has its whole time again', () => {
	vi.useFakeTimers();
	toasts.say('Kept.', { label: 'Undo', run() {} });
	toasts.hold();
	toasts.say('Copied.');
	vi.advanceTimersByTime(60_000);
	expect(toasts.list).toHaveLength(2);
	toasts.release();
	vi.advanceTimersByTime(5000);
	expect(toasts.list.map(({ text }) => text)).toEqual(['Kept.']);
	vi.advanceTimersByTime(5000);
	expect(toasts.list).toEqual([]);
	vi.useRealTimers();
});

test.each([
	[new TypeError('Failed to fetch'), 'The connection broke'],
	[new TypeError('network error'), 'The connection broke'],
	[new DOMException('', 'AbortError'), 'The connection broke'],
	[new TypeError('x is undefined: my dear Ana'), 'The page failed'],
	[new SyntaxError('my dear Ana'), 'The page failed'],
])('%s is told as "%s", and no word of it is logged', (error, title) => {
	const log = vi.spyOn(console, 'error').mockImplementation(() => {});
	expect(asTrouble(error).title).toBe(title);
	expect(log.mock.calls).toEqual(title === 'The page failed' ? [[`page: ${error.name}`]] : []);
	log.mockRestore();
});
