import { sentence } from './format.ts';
import { list, parsed, type Raw, record, text } from './record.ts';

/** Something to tell the owner: what happened, and what to do now. */
export class Trouble extends Error {
	constructor(
		readonly title: string,
		readonly detail: string,
		readonly status = 0,
		/** The last part of the problem document's type ("unknown-voice"); empty when there is none. */
		readonly kind = '',
		/** What is wrong with each field of a form, by the field's name. */
		readonly faults: Readonly<Record<string, string>> = {},
	) {
		super(title);
	}
}

/** Nothing answers at all. */
export const silent = (): Trouble =>
	new Trouble('The gateway does not answer', 'Start it with `twin serve`, then try again.');

/** Fields as the page calls them, where that is not how the API does. */
const LABELS: Readonly<Record<string, string>> = {
	context: 'What came in',
	instruction: 'What I want to say',
	prompt: 'What I want to say',
	reference: 'Whose style',
	style_reference: 'Whose style',
	to: 'Who reads it',
	input: 'The text',
	text: 'The text',
	reply: 'The draft',
};

interface Problem {
	type?: string;
	title: string;
	detail?: string;
	errors?: { pointer: string; detail: string }[];
}

/** Makes the Trouble of a failed answer: its problem document, if it is one. */
export async function fromResponse(response: Response): Promise<Trouble> {
	return fromBody(response.status, response.headers.get('content-type'), await response.text());
}

export function fromBody(status: number, type: string | null, body: string): Trouble {
	const problem = type?.startsWith('application/problem+json') ? parse(body) : null;
	if (!problem) {
		return new Trouble('The twin failed', `The gateway answered ${status}. Try again.`, status);
	}
	return fromProblem(problem, status);
}

/** Makes the Trouble of a problem document, as it also comes as the last event of a stream. */
export function fromProblem(problem: Problem, status = 0): Trouble {
	const { type = '', title, detail = '', errors = [] } = problem;
	// "#/field" of a body, "?field" of a query, "path field".
	const field = (pointer: string) => pointer.replace(/^(#?\/|\?|path )/, '');
	const faults = errors.map((fault) => [field(fault.pointer), fault.detail] as const);
	const told = faults.map(([name, what]) => {
		const field = LABELS[name] ?? name;
		// Some begin as a sentence of their own: "String should have at most 200 characters".
		return field && /^[A-Z]/.test(what) ? `${field}: ${what}` : `${field} ${what}`.trim();
	}).join('; ');
	return new Trouble(
		title,
		sentence(told || detail),
		status,
		type.split(':').at(-1),
		Object.fromEntries(faults),
	);
}

/** How browsers name a connection that breaks while something comes: all of them as a TypeError. */
const BROKE =
	/^(network ?error|failed to fetch|fetch failed|load failed|error in (input|body) stream|terminated|the network connection was lost)/i;

/** What was thrown, as Trouble: a connection that broke, or else a fault of the page's own. */
export function asTrouble(error: unknown): Trouble {
	if (error instanceof Trouble) return error;
	const name = error instanceof Error || error instanceof DOMException ? error.name : 'error';
	const broke = (error instanceof TypeError && BROKE.test(error.message)) ||
		['AbortError', 'NetworkError', 'TimeoutError'].includes(name);
	if (broke) {
		return new Trouble('The connection broke', 'Try again; what was there so far is kept.');
	}
	// Its name alone: what it says may hold what was being written.
	console.error(`page: ${name}`);
	return new Trouble('The page failed', 'Try again; if it stays so, load the page anew.');
}

function parse(body: string): Problem | null {
	const problem = parsed(body);
	return problem && text(problem.title) ? problemOf(problem) : null;
}

/** What a problem document says, as far as it is one. */
export function problemOf(raw: Raw): Problem {
	return {
		type: text(raw.type),
		title: text(raw.title) || 'The twin failed',
		detail: text(raw.detail),
		errors: list(raw.errors).map(record).map(({ pointer, detail }) => ({
			pointer: text(pointer),
			detail: text(detail),
		})),
	};
}
