import { parse, text } from '#lib/server/body.ts';
import { LONGEST, speech } from '#lib/server/twin.ts';
import type { RequestHandler } from './$types';

const RULES = { text: text(LONGEST) };
const MAX_BYTES = 512 * 1024;

/** Text -> a WAV in the voice that the twin has. A2 (`/api/tts/clone`) takes its place. */
export const POST: RequestHandler = async ({ request }) => {
	const asked = await parse(request, RULES, ['text'], MAX_BYTES);
	return asked instanceof Response ? asked : speech(asked.text, request.signal);
};
