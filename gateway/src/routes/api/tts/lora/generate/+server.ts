import { either, flag, integer, number, oneOf, parse, text } from '#lib/server/body.ts';
import { draft } from '#lib/server/draft.ts';
import { problem } from '#lib/server/problem.ts';
import { KINDS, LENGTHS, REGISTERS, wantsEvents } from '#lib/server/words.ts';
import type { RequestHandler } from './$types';

/** Characters of one text that FastAPI takes. */
const LONGEST = 100_000;
const LONGEST_NAME = 200;
const RULES = {
	prompt: text(LONGEST),
	context: text(LONGEST),
	style_reference: text(LONGEST),
	kind: oneOf(...KINDS),
	to: text(LONGEST_NAME),
	register: oneOf(...REGISTERS),
	length: either(oneOf(...LENGTHS), integer(1, 2_000)),
	max_tokens: integer(1, 4_096),
	temperature: number(0, 2),
	seed: integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
	stream: flag,
};
const MAX_BYTES = 2 * 1024 * 1024;

/** A3: a writing task -> text in the owner's style, whole or as it is written. */
export const POST: RequestHandler = async ({ request, locals }) => {
	if (locals.caller === null) return problem('no-key');
	const asked = await parse(request, RULES, ['prompt'], MAX_BYTES);
	if (asked instanceof Response) return asked;
	const { stream = wantsEvents(request.headers.get('accept')) } = asked;
	return await draft({ ...asked, stream }, locals.caller, request.signal);
};
