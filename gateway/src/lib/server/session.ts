/** The page's cookie: HttpOnly and SameSite=Strict, so no script and no other site can use it. */
import type { Way } from './way.ts';

/**
 * With https the name itself holds it to this host, this path and encryption. A browser gives a cookie
 * to all ports of a host, so the port is in the name: two twins on one machine do not meet.
 */
function nameOf({ host, https }: Way): string {
	const port = /:(\d+)$/.exec(host)?.[1];
	return `${https ? '__Host-' : ''}twin_session${port ? `_${port}` : ''}`;
}

export function sessionOf(headers: Headers, way: Way): string | null {
	const name = nameOf(way);
	for (const pair of headers.get('cookie')?.split(';') ?? []) {
		const [key, value] = pair.trim().split('=', 2);
		if (key === name && value) return value;
	}
	return null;
}

/** Set-Cookie for a session until `expires_at`; null ends it. */
export function cookie(way: Way, session: string | null, expires_at: string | null = null): string {
	const seconds = session === null || expires_at === null
		? 0
		: Math.max(0, Math.floor((Date.parse(expires_at) - Date.now()) / 1000));
	const age = session !== null && expires_at === null ? [] : [`Max-Age=${seconds}`];
	return [
		`${nameOf(way)}=${session ?? ''}`,
		'Path=/',
		'HttpOnly',
		'SameSite=Strict',
		...age,
		...(way.https ? ['Secure'] : []),
	].join('; ');
}

const BROWSERS = [['Firefox', 'Firefox'], ['Edg', 'Edge'], ['Chrome', 'Chrome'], [
	'Safari',
	'Safari',
]];
const SYSTEMS = [
	['iPhone', 'iPhone'],
	['iPad', 'iPad'],
	['Android', 'Android'],
	['Mac OS X', 'macOS'],
	['Windows', 'Windows'],
	['Linux', 'Linux'],
];

/** What the owner's list of sessions calls a browser: "Chrome on macOS". */
export function deviceOf(headers: Headers): string {
	const agent = headers.get('user-agent') ?? '';
	const find = (names: string[][]) => names.find(([sign]) => sign && agent.includes(sign))?.[1];
	return [find(BROWSERS) ?? 'A browser', find(SYSTEMS)].filter(Boolean).join(' on ');
}
