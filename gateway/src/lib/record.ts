/** JSON that comes from outside, read with care: what is not as it should be is as if it were not there. */

export type Raw = Readonly<Record<string, unknown>>;

/** An object; of anything else, an empty one. */
export const record = (value: unknown): Raw =>
	typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Raw : {};

/** What a text holds; null when it is no JSON object. */
export function parsed(json: unknown): Raw | null {
	if (typeof json !== 'string') return null;
	try {
		const value: unknown = JSON.parse(json);
		return typeof value === 'object' && value !== null && !Array.isArray(value)
			? value as Raw
			: null;
	} catch {
		return null;
	}
}

export const text = (value: unknown): string => typeof value === 'string' ? value : '';

export const list = (value: unknown): readonly unknown[] => Array.isArray(value) ? value : [];

/** The texts among them. */
export const texts = (value: unknown): string[] =>
	list(value).filter((one) => typeof one === 'string');
