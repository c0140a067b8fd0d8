import { onward } from '#lib/server/onward.ts';
import type { RequestHandler } from './$types';

/** OpenAI's routes, where its clients look for them: their base URL is this gateway's `/v1`. */
export const fallback: RequestHandler = (event) =>
	onward(event, new URL(event.request.url).pathname);
