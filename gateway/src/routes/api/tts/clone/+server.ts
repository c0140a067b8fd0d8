import { onward } from '#lib/server/onward.ts';
import type { RequestHandler } from './$types';

/** A2: a text, and a voice by its id or by a clip of it -> speech in that voice. */
export const POST: RequestHandler = (event) => onward(event, '/speech');
