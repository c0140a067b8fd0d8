/** Who speaks where nobody was chosen, with as many voices as the owner has (S1). */
import { beforeEach, expect, test } from 'vitest';
import { network } from './network.ts';

const { CLIP, delivery } = await import('../src/lib/delivery.svelte.ts');

const voice = (id: string, emotions: string[] = []) => ({ id, name: id, emotions });
const there = async (...ids: string[]) => {
	const data = [...ids.map((id) => voice(id, ['happy'])), voice('base')];
	network.answer = () => Response.json({ data, problem: '' });
	await delivery.load();
};

beforeEach(() => Object.assign(delivery, { voices: null, voice: '', emotion: '' }));

test.each([
	[[], 'base'],
	[['meera'], 'meera'],
	[['meera', 'thota'], 'meera'],
])('of %j, it is %s', async (own, first) => {
	expect(delivery.voice).toBe('');
	await there(...own);
	expect([delivery.voice, delivery.how.voice]).toEqual([first, first]);
	expect(delivery.own.map(({ id }) => id)).toEqual(own);
});

test('who was chosen speaks for as long as the voice is there', async () => {
	await there('meera', 'thota');
	delivery.voice = 'thota';
	expect(delivery.how.voice).toBe('thota');
	await there('meera');
	expect(delivery.how.voice).toBe('meera');
});

test('a voice that comes later is the one that speaks, if nobody was chosen', async () => {
	await there();
	await there('meera');
	expect(delivery.voice).toBe('meera');
});

test('a recording is not for drafts, and no voice speaks as it was never recorded', async () => {
	await there('meera');
	Object.assign(delivery, { voice: CLIP, emotion: 'happy' });
	expect(delivery.how).toMatchObject({ voice: 'meera', emotion: 'happy' });
	delivery.voice = 'base';
	expect(delivery.how).toMatchObject({ voice: 'base', emotion: '' });
});
