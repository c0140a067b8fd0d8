import { expect, test } from 'vitest';
import { Sending } from '#lib/sending.svelte.ts';
import { session } from '#lib/session.svelte.ts';
import { Trouble } from '#lib/trouble.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const file = (name: string) => new File([name], name);

/** A line over which files go: each waits until the test lets it arrive. */
function line() {
	const under: {
		name: string;
		signal: AbortSignal;
		good: () => void;
		bad: (e: unknown) => void;
	}[] = [];
	const sending = new Sending<string, string>(({ name }, wish, { signal }) =>
		new Promise((resolve, reject) => {
			under.push({ name, signal, good: () => resolve(`${name} ${wish}`), bad: reject });
			signal.addEventListener('abort', () => reject(signal.reason));
		})
	);
	const states = () => sending.list.map(({ name, state }) => `${name} ${state}`);
	return { sending, under, states };
}

const REFUSED = new Trouble('There is no mail in it', '');

test('a bad file is told and the others go on (A4)', async () => {
	const { sending, under, states } = line();
	sending.add([file('junk'), file('good')], 'dmy');
	expect(states()).toEqual(['good waiting', 'junk sending']);
	under[0]!.bad(REFUSED);
	await settle();
	expect(states()).toEqual(['good sending', 'junk failed']);
	expect(sending.list[1]!.trouble).toBe(REFUSED);
	under[1]!.good();
	await settle();
	expect(sending.list[0]!.kept).toBe('good dmy');
	sending.retry(sending.list[1]!);
	under[2]!.good();
	await settle();
	expect(states()).toEqual(['good kept', 'junk kept']);
});

test('one is stopped alone, and the next begins', async () => {
	const { sending, under, states } = line();
	sending.add([file('one'), file('two')], '');
	sending.drop(sending.list[1]!);
	await settle();
	expect(under[0]!.signal.aborted).toBe(true);
	expect(states()).toEqual(['two sending']);
	expect(under[1]!.signal.aborted).toBe(false);
});

test('what the end of a session broke off goes again by itself', async () => {
	const { sending, under, states } = line();
	sending.add([file('one')], '');
	under[0]!.bad(new Trouble('You were signed out', '', 401));
	await settle();
	expect(states()).toEqual(['one failed']);
	const fetched = globalThis.fetch;
	globalThis.fetch = () => Promise.resolve(new Response('{}'));
	await session.open({ code: 'x' }).finally(() => (globalThis.fetch = fetched));
	expect(states()).toEqual(['one sending']);
});
