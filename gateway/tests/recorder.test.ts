import { describe, expect, it } from 'vitest';
import { fileName, kindOf, refusal } from '#lib/recorder.ts';

describe('what a take is recorded as', () => {
	it('loses nothing where the browser can', () => {
		expect(kindOf(() => true)).toBe('audio/webm;codecs=pcm');
		expect(kindOf((kind) => kind.startsWith('audio/mp4'))).toBe('audio/mp4;codecs=alac');
		expect(kindOf((kind) => kind === 'audio/ogg;codecs=opus')).toBe('audio/ogg;codecs=opus');
	});

	it('is left to a browser that knows none of them', () => {
		expect(kindOf(() => false)).toBe('');
	});

	it.each([
		['audio/webm;codecs=pcm', 'take.webm'],
		['audio/mp4;codecs=alac', 'take.m4a'],
		['audio/ogg;codecs=opus', 'take.ogg'],
		['', 'take.webm'],
	])('%s is named %s', (kind, name) => expect(fileName(kind)).toBe(name));
});

describe('a microphone that does not open', () => {
	it.each([
		['NotAllowedError', 'may not use the microphone'],
		['NotFoundError', 'There is no microphone'],
		['OverconstrainedError', 'There is no microphone'],
		['NotReadableError', 'does not answer'],
		['TypeError', 'did not open'],
	])('%s', (name, told) => {
		const trouble = refusal(Object.assign(new Error(), { name }));
		expect(trouble.title).toContain(told);
		expect(trouble.detail).not.toBe('');
	});
});
