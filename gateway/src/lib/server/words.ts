/** A3's words for a writing task, and those of OpenAI's API, which FastAPI reads. No I/O. */

export const KINDS = ['write', 'reply', 'rewrite'] as const;
export const REGISTERS = ['mail', 'chat'] as const;
export const LENGTHS = ['short', 'medium', 'long'] as const;

export interface Task {
	/** What the owner wants to say. */
	prompt: string;
	/** What came in, when it is an answer; or what is to be rewritten. */
	context?: string;
	/** What to do with the context: without a word on it, answer it. */
	kind?: (typeof KINDS)[number];
	/** Who will read it. */
	to?: string;
	register?: (typeof REGISTERS)[number];
	/** A number is one of words. */
	length?: (typeof LENGTHS)[number] | number;
	/** Text whose style the draft shall follow. */
	style_reference?: string;
	max_tokens?: number;
	temperature?: number;
	seed?: number;
	stream?: boolean;
}

/** A writing task as a chat in the shape of OpenAI's API. */
export function completion({ prompt, style_reference, stream = false, ...rest }: Task) {
	const reference = style_reference;
	const kind = rest.kind ?? (rest.context ? 'reply' : undefined);
	const messages = [{ role: 'user', content: prompt }];
	return {
		model: 'twin',
		messages,
		...(reference && { reference }),
		...rest,
		...(kind && { kind }),
		stream,
	};
}

/** FastAPI's words for what is wrong with a completion, in those of A3, whose fields the caller knows. */
export const retold = (document: string) =>
	document
		.replaceAll(/#\/messages(\/\d+(\/content)?)?/g, '#/prompt')
		.replaceAll('#/reference', '#/style_reference')
		.replaceAll('the last of `messages`', '`prompt`');

/** Whether `Accept` would rather have an event stream than JSON; the first of two that weigh the same. */
export function wantsEvents(accept: string | null): boolean {
	let [best, events] = [0, false];
	for (const part of accept?.toLowerCase().split(',') ?? []) {
		const [type = '', ...parameters] = part.split(';').map((word) => word.trim());
		const q = parameters.find((word) => word.startsWith('q='))?.slice(2);
		const weight = q === undefined ? 1 : Number(q) || 0;
		const known = ['text/event-stream', 'application/json', 'application/*', '*/*'].includes(type);
		if (known && weight > best) [best, events] = [weight, type === 'text/event-stream'];
	}
	return events;
}
