import { health } from '#lib/server/twin.ts';
import type { RequestHandler } from './$types';

export const GET: RequestHandler = ({ request }) => health(request.signal);
