import { parse, text } from '#lib/server/body.ts';
import { callers, leave, loggedIn, mayLogIn } from '#lib/server/door.ts';
import { problem } from '#lib/server/problem.ts';
import { cookie, deviceOf } from '#lib/server/session.ts';
import { login, logout } from '#lib/server/twin.ts';
import type { RequestHandler } from './$types';

const RULES = { code: text(200), passphrase: text(1_024) };
const MAX_BYTES = 8 * 1024;

/** Who is signed in: the page asks it first. */
export const GET: RequestHandler = ({ locals: { caller } }) =>
	caller ? Response.json(caller) : problem('no-key');

/** A login: the code of a link that `twin` printed, or the passphrase, for a session's cookie. */
export const POST: RequestHandler = async ({ request, locals: { way } }) => {
	const asked = await parse(request, RULES, [], MAX_BYTES);
	if (asked instanceof Response) return asked;
	if ((asked.code === undefined) === (asked.passphrase === undefined)) {
		const errors = [{ pointer: '#', detail: 'must have either `code` or `passphrase`' }];
		return problem('invalid-request', { errors });
	}
	const no = mayLogIn(way, asked.code === undefined ? 'passphrase' : 'code');
	if (no) return no;
	const device = deviceOf(request.headers);
	const made = await login({ ...asked, device }, request.signal);
	if (made instanceof Response) return made;
	loggedIn(way);
	await leave(request.headers, way);
	const { session, expires_at } = made;
	const headers = { 'set-cookie': cookie(way, session, expires_at) };
	return Response.json({ kind: 'session', expires_at }, { status: 201, headers });
};

/** Signs out; the session ends at FastAPI, so the cookie is worth nothing to whoever has it. */
export const DELETE: RequestHandler = async ({ locals: { caller, way } }) => {
	if (caller?.kind === 'session') {
		const failed = await logout(caller);
		// 401: it had ended already, which is what was wanted.
		if (failed && failed.status !== 401) return failed;
		callers.forget(caller.id);
	}
	return new Response(null, { status: 204, headers: { 'set-cookie': cookie(way, null) } });
};
