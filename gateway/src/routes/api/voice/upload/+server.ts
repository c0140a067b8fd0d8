import { onward } from '#lib/server/onward.ts';
import type { RequestHandler } from './$types';

/** A4: a recording -> the voice and the take that it became, graded. Streamed: nothing is held here. */
export const POST: RequestHandler = (event) => onward(event, '/voices/uploads');
