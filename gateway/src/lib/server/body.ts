/** Request bodies: read with a bound, parsed once, every fault named at once. */
import { type Fault, problem } from './problem.ts';

/** Reads JSON of at most `max` bytes; a Response says why it cannot. */
export async function readJson(request: Request, max: number): Promise<unknown | Response> {
	if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) {
		return problem('not-json');
	}
	if (Number(request.headers.get('content-length') ?? 0) > max) return problem('too-large');
	let text = '';
	let size = 0;
	const decoder = new TextDecoder('utf-8', { fatal: true });
	try {
		for await (const chunk of request.body ?? []) {
			if ((size += chunk.byteLength) > max) return problem('too-large');
			text += decoder.decode(chunk, { stream: true });
		}
		return JSON.parse(text + decoder.decode());
	} catch (error) {
		if (request.signal.aborted) return gone();
		if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
		return problem('invalid-request', {
			errors: [{ pointer: '', detail: 'is not JSON in UTF-8' }],
		});
	}
}

/** The caller hung up; nobody reads this. */
export const gone = () => new Response(null, { status: 499 });

interface Rule<T> {
	detail: string;
	accepts: (value: unknown) => value is T;
}

export const text = (max: number): Rule<string> => ({
	detail: `must be text of 1 to ${max} characters`,
	accepts: (value): value is string =>
		typeof value === 'string' && value.trim() !== '' && value.length <= max,
});

export const number = (low: number, high: number): Rule<number> => ({
	detail: `must be a number from ${low} to ${high}`,
	accepts: (value): value is number => typeof value === 'number' && value >= low && value <= high,
});

export const integer = (low: number, high: number): Rule<number> => ({
	detail: `must be a whole number from ${low} to ${high}`,
	accepts: (value): value is number => Number.isInteger(value) && number(low, high).accepts(value),
});

export const flag: Rule<boolean> = {
	detail: 'must be true or false',
	accepts: (value): value is boolean => typeof value === 'boolean',
};

type Rules = Record<string, Rule<unknown>>;
type Accepted<R extends Rules> = { [K in keyof R]?: R[K] extends Rule<infer T> ? T : never };

/** What in `value` breaks `rules`; the fields of `required` must be there, no others may be. */
export function faults(value: unknown, rules: Rules, required: string[]): Fault[] {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		return [{ pointer: '', detail: 'must be an object' }];
	}
	const given = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
	const names = new Set(given.map(([name]) => name));
	return [
		...required.filter((name) => !names.has(name)).map((name) => ({
			pointer: `/${name}`,
			detail: 'is missing',
		})),
		...given.flatMap(([name, field]) => {
			const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
			// The name of an unknown field is the caller's text: escape it as RFC 6901 asks, and bound it.
			const pointer = `/${name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`;
			if (!rule) return [{ pointer, detail: 'is not a field of this route' }];
			return rule.accepts(field) ? [] : [{ pointer, detail: rule.detail }];
		}),
	];
}

/** The accepted fields of a JSON request, or the Response that says why not. */
export async function parse<R extends Rules, K extends keyof R & string>(
	request: Request,
	rules: R,
	required: K[],
	max: number,
): Promise<(Accepted<R> & Required<Pick<Accepted<R>, K>>) | Response> {
	const value = await readJson(request, max);
	if (value instanceof Response) return value;
	const errors = faults(value, rules, required);
	if (errors.length > 0) return problem('invalid-request', { errors });
	const fields = Object.entries(value as object).filter(([, field]) => field !== null);
	return Object.fromEntries(fields) as Accepted<R> & Required<Pick<Accepted<R>, K>>;
}
