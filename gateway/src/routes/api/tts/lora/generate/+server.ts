import { flag, integer, number, parse, text } from '#lib/server/body.ts';
import { draft, draftStream, LONGEST } from '#lib/server/twin.ts';
import type { RequestHandler } from './$types';

const RULES = {
	prompt: text(LONGEST),
	context: text(LONGEST),
	max_tokens: integer(1, 4_096),
	temperature: number(0, 2),
	stream: flag,
};
const MAX_BYTES = 1024 * 1024;

/** A3: a writing task -> text in the owner's style. */
export const POST: RequestHandler = async ({ request }) => {
	const asked = await parse(request, RULES, ['prompt'], MAX_BYTES);
	if (asked instanceof Response) return asked;
	const { stream, ...task } = asked;
	return stream ? draftStream(task, request.signal) : draft(task, request.signal);
};
