/**
 * What of FastAPI's is passed on, and to whom. Nothing else is: a route that FastAPI gets stays shut
 * until it stands here. `/api/X` is FastAPI's `/X`; so is `/v1/X`, for the clients of OpenAI's API.
 */
import type { Taken } from './body.ts';

export interface Route {
	method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
	/** FastAPI's path, with {names} for single parts. */
	path: string;
	/** `use`: also tokens that may only write and speak; `owner`: the page, and the owner's tokens. */
	scope: 'use' | 'owner';
	takes: Taken;
	/** Bytes of the body; of JSON where there may be a form, TEXT. */
	max: number;
	/** Answers with a page for a frame: HTML made by FastAPI, which has a policy of its own. */
	framed: boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Most JSON is a name or some numbers; what holds texts says so. */
const FEW = 16 * KIB;
export const TEXT = 2 * MIB;
const MB = 1_000_000;
// Of files FastAPI holds the exact limits, and says them; these leave room for the rest of the form.
/** A clip that a voice is taken from: a minute of WAV has 10 MB. */
const CLIP = 50 * MB + 2 * TEXT;
const CONSENT = 20 * MB + MIB;
const RECORDING = 200 * MB + MIB;
/** Mail of twenty years. */
const ARCHIVE = 64 * 1024 * MIB;

const get = (path: string, scope: Route['scope'] = 'owner'): Route => ({
	method: 'GET',
	path,
	scope,
	takes: 'nothing',
	max: 0,
	framed: false,
});
const page = (path: string): Route => ({ ...get(path), framed: true });
const remove = (path: string): Route => ({ ...get(path), method: 'DELETE' });
const post = (path: string, takes: Taken = 'json', max = FEW): Route => ({
	...get(path),
	method: 'POST',
	takes,
	max,
});
const patch = (path: string, max = FEW): Route => ({ ...post(path, 'json', max), method: 'PATCH' });
const use = (route: Route): Route => ({ ...route, scope: 'use' });

export const ROUTES: readonly Route[] = [
	get('/health', 'use'),
	get('/v1/models', 'use'),
	get('/v1/models/{model}', 'use'),
	get('/v1/audio/voices', 'use'),
	use(post('/v1/chat/completions', 'json', TEXT)),
	use(post('/v1/audio/speech', 'json', TEXT)),
	use(post('/say', 'json or form', CLIP)),
	use(post('/speech', 'json or form', CLIP)),
	get('/engines', 'use'),
	get('/state'),
	get('/doctor'),
	get('/shelf', 'use'),

	get('/access/tokens'),
	post('/access/tokens'),
	remove('/access/tokens/{id}'),
	get('/access/sessions'),
	remove('/access/sessions/{id}'),

	get('/jobs'),
	get('/jobs/{id}'),
	get('/jobs/{id}/events'),
	post('/jobs/{id}/cancel', 'nothing'),
	post('/jobs/{id}/resume', 'nothing'),
	post('/trainings/plan'),
	post('/trainings'),
	get('/adapters'),
	get('/adapters/{name}'),
	post('/adapters/{name}/evaluation'),
	get('/adapters/{name}/evaluation'),
	page('/adapters/{name}/evaluation/page'),

	get('/corpus'),
	page('/corpus/page'),
	post('/corpus/imports'),
	post('/corpus/uploads', 'bytes', ARCHIVE),
	get('/datasets'),
	post('/datasets'),
	get('/datasets/{id}'),
	page('/datasets/{id}/page'),
	get('/datasets/{id}/pairs'),
	post('/datasets/{id}/marks', 'json', 128 * KIB),
	patch('/datasets/{id}/pairs/{pair}', TEXT),
	get('/pairs'),
	post('/pairs', 'json', TEXT),
	remove('/pairs/{id}'),

	get('/voices', 'use'),
	post('/voices'),
	post('/voices/uploads', 'form', RECORDING),
	get('/voices/{id}'),
	patch('/voices/{id}'),
	remove('/voices/{id}'),
	get('/voices/{id}/takes/{take}/audio'),
	remove('/voices/{id}/takes/{take}'),
	get('/voices/{id}/prompts'),
	get('/voices/{id}/consent'),
	post('/voices/{id}/consent', 'json or form', CONSENT),
	remove('/voices/{id}/consent'),
	post('/voices/{id}/preparation', 'nothing'),
	post('/voices/{id}/evaluation', 'nothing'),
	get('/voices/{id}/evaluation'),
	page('/voices/{id}/evaluation/page'),
];

/**
 * One part of a path: ids and names ("chats only", "été"). Of what is encoded, only the space and
 * bytes beyond ASCII: no dot, slash or line end comes in disguise.
 */
const PART =
	"((?:[A-Za-z0-9_]|%[89A-F][0-9A-F])(?:[A-Za-z0-9._~:@!$'()*+,;=-]|%20|%[89A-F][0-9A-F]){0,199})";

const PATTERNS = ROUTES.map((route) => ({
	route,
	pattern: new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, PART)}$`),
}));

/** The route for a path of FastAPI's; null: none. `allow` are the methods that there are for it. */
export function find(method: string, path: string): { route: Route | null; allow: string[] } {
	const here = PATTERNS.filter(({ pattern }) => pattern.test(path)).map(({ route }) => route);
	// `/voices/uploads` is no voice: what is spelled out goes before what has a {name}.
	const sorted = here.toSorted((a, b) =>
		Number(a.path.includes('{')) - Number(b.path.includes('{'))
	);
	return {
		route: sorted.find((route) => route.method === method) ?? null,
		allow: here.map((route) => route.method),
	};
}
