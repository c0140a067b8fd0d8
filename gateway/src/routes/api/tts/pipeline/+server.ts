import { onward } from '#lib/server/onward.ts';
import type { RequestHandler } from './$types';

/**
 * A1: a writing task -> text in the owner's style and its speech, in one answer: JSON, or, as `Accept`
 * asks, multipart/mixed or an event stream.
 */
export const POST: RequestHandler = (event) => onward(event, '/say');
