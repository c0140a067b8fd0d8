/** Request bodies: held to their kind and size, read when the door has to, streamed when not. */
import { type Fault, problem } from './problem.ts';

/** The caller hung up; nobody reads this. */
export const gone = () => new Response(null, { status: 499 });

/** Whether this is what reading from, or writing to, a caller who hung up throws. */
export const isBroken = (error: unknown) =>
	error instanceof Error &&
	(/^(AbortError|BadResource|BrokenPipe|ConnectionAborted|ConnectionReset|Interrupted|UnexpectedEof)$/
		.test(error.name) || /request body/.test(error.message));

/** What a route takes: nothing, JSON, a form with a file in it, either of these, or any bytes. */
export type Taken = 'nothing' | 'json' | 'form' | 'json or form' | 'bytes';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'multipart/form-data';

export const isJson = (headers: Headers) => isType(headers, JSON_TYPE);
export const isForm = (headers: Headers) =>
	isType(headers, FORM_TYPE) &&
	/;\s*boundary=("[^"]{1,70}"|[^\s";]{1,70})\s*(;|$)/i.test(headers.get('content-type') ?? '');

function isType(headers: Headers, type: string) {
	const given = headers.get('content-type') ?? '';
	return given.split(';', 1)[0]?.trim().toLowerCase() === type;
}

const wrongType = (...types: string[]) =>
	problem('unsupported-media-type', { headers: { accept: types.join(', ') } });

/** Why a body is not taken, by its headers alone; null: it may come. */
export function refused(headers: Headers, taken: Taken, max: number): Response | null {
	if (taken === 'json' && !isJson(headers)) return wrongType(JSON_TYPE);
	if (taken === 'form' && !isForm(headers)) return wrongType(FORM_TYPE);
	if (taken === 'json or form' && !isJson(headers) && !isForm(headers)) {
		return wrongType(JSON_TYPE, FORM_TYPE);
	}
	return Number(headers.get('content-length') ?? 0) > max ? problem('too-large') : null;
}

/**
 * A body as it comes, cut off with `over` beyond `max` bytes. One whose length was declared is passed
 * on as it is, since HTTP itself holds it to that.
 */
export function bounded(
	{ headers, body }: Request,
	max: number,
	over: () => void,
): ReadableStream<Uint8Array> | null {
	if (body === null || headers.has('content-length')) return body;
	let size = 0;
	return body.pipeThrough(
		new TransformStream({
			transform(chunk, controller) {
				if ((size += chunk.byteLength) <= max) return controller.enqueue(chunk);
				over();
				controller.error(new RangeError('too large'));
			},
		}),
	);
}

/**
 * Milliseconds in which JSON of `max` bytes is to come: no caller holds a connection for ever with half
 * a request. A slow phone sends 50 kB in a second.
 */
const patience = (max: number) => 10_000 + max / 50;

/** JSON as it comes, cut off with `late` when it takes longer than JSON of `max` bytes may. */
export function hurried(
	body: ReadableStream<Uint8Array> | null,
	max: number,
	late: () => void,
	wait = patience(max),
): ReadableStream<Uint8Array> | null {
	if (body === null) return null;
	const reader = body.getReader();
	let timer: ReturnType<typeof setTimeout>;
	return new ReadableStream<Uint8Array>({
		start(controller) {
			timer = setTimeout(() => {
				late();
				controller.error(new RangeError('the request body came too slowly'));
				reader.cancel().catch(() => {});
			}, wait);
		},
		async pull(controller) {
			try {
				const { done, value } = await reader.read();
				if (!done) return controller.enqueue(value);
				clearTimeout(timer);
				controller.close();
			} catch (error) {
				clearTimeout(timer);
				controller.error(error);
			}
		},
		cancel(reason) {
			clearTimeout(timer);
			return reader.cancel(reason);
		},
	}, { highWaterMark: 0 });
}

/** Reads JSON of at most `max` bytes; a Response says why it cannot. */
export async function readJson(
	request: Request,
	max: number,
	wait = patience(max),
): Promise<unknown | Response> {
	const no = refused(request.headers, 'json', max);
	if (no) return no;
	let text = '';
	let size = 0;
	let slow = false;
	const decoder = new TextDecoder('utf-8', { fatal: true });
	try {
		for await (const chunk of hurried(request.body, max, () => slow = true, wait) ?? []) {
			if ((size += chunk.byteLength) > max) return problem('too-large');
			text += decoder.decode(chunk, { stream: true });
		}
		return JSON.parse(text + decoder.decode());
	} catch (error) {
		if (slow) return problem('too-slow');
		// What is no fault of the text is one of its way here.
		if (request.signal.aborted || isBroken(error)) return gone();
		return problem('malformed');
	}
}
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

export const oneOf = <const T extends string>(...values: T[]): Rule<T> => ({
	detail: `must be ${values.join(', ')}`,
	accepts: (value): value is T => (values as unknown[]).includes(value),
});

export const either = <A, B>(a: Rule<A>, b: Rule<B>): Rule<A | B> => ({
	detail: `${a.detail}, or ${b.detail}`,
	accepts: (value): value is A | B => a.accepts(value) || b.accepts(value),
});

export const flag: Rule<boolean> = {
	detail: 'must be true or false',
	accepts: (value): value is boolean => typeof value === 'boolean',
};

type Rules = Record<string, Rule<unknown>>;
type Accepted<R extends Rules> = { [K in keyof R]?: R[K] extends Rule<infer T> ? T : never };

/**
 * What in `value` breaks `rules`; the fields of `required` must be there, no others may be. Those are one
 * fault, however many, and are not named: a name is the caller's text.
 */
export function faults(value: unknown, rules: Rules, required: string[]): Fault[] {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		return [{ pointer: '#', detail: 'must be an object' }];
	}
	const given = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
	const names = new Set(given.map(([name]) => name));
	return [
		...required.filter((name) => !names.has(name)).map((name) => ({
			pointer: `#/${name}`,
			detail: 'is missing',
		})),
		...given.flatMap(([name, field]) => {
			const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
			return !rule || rule.accepts(field) ? [] : [{ pointer: `#/${name}`, detail: rule.detail }];
		}),
		...[...names].some((name) => !Object.hasOwn(rules, name))
			? [{ pointer: '#/…', detail: 'is not a field of this route' }]
			: [],
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
