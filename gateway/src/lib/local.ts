/** Where to go on to after signing in: a path of this site, whatever a link said. */
export function local(next: string | null): string {
	if (!next) return '/';
	// As browsers read it, not as it looks: "/\host", "/\t/host" and "//host" are other sites.
	const url = new URL(next, 'http://here.invalid');
	const inside = next.startsWith('/') && url.origin === 'http://here.invalid';
	return inside && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}
