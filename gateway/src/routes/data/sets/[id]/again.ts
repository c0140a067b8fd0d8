/** What builds a dataset again as it was built before, with what the owner has changed since. */
import type { components } from '#lib/api.d.ts';

type Schemas = components['schemas'];

export function again(
	{ id, settings }: Pick<Schemas['DatasetDetail'], 'id' | 'settings'>,
): Schemas['BuildRequest'] {
	const { size, seed, languages, mail_share, tokens, instructions, allow_small } = settings;
	return {
		name: id,
		size: number(size) ?? 1000,
		seed: number(seed) ?? 0,
		// None: those of twin.toml, as when it was built.
		languages: Array.isArray(languages) && languages.length > 0 ? languages.map(String) : null,
		mail_share: number(mail_share),
		tokens: number((tokens as { row?: unknown } | undefined)?.row),
		instructions: instructions === 'llm' ? 'llm' : 'rules',
		allow_small: allow_small === true,
	};
}

const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
