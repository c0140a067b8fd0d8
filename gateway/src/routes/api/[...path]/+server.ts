import { onward } from '#lib/server/onward.ts';
import type { RequestHandler } from './$types';

/** Everything of FastAPI's that the table of routes names, for the page and for programs. */
export const fallback: RequestHandler = (event) =>
	// From the URL itself: what is encoded in it stays encoded, and so finds no route.
	onward(event, new URL(event.request.url).pathname.slice('/api'.length));
