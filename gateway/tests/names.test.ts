import { expect, it } from 'vitest';
import { free } from '#lib/names.ts';

it.each([
	[[], 'main'],
	[['main'], 'main-2'],
	[['main', 'main-2', 'other'], 'main-3'],
])('beside %j it proposes %s', (taken, name) => expect(free('main', taken)).toBe(name));
