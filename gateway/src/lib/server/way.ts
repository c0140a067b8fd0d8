/** How a request came here: under which name, from which address, encrypted or not. No I/O. */

/**
 * What stands in front of the gateway on this machine, and is believed about its callers.
 * `cloudflare`: cloudflared; `forwarded`: Tailscale's `serve`, or a web server that sets X-Forwarded-*.
 */
export type Proxy = 'none' | 'cloudflare' | 'forwarded';

export interface Door {
	/** Names besides loopback under which the owner opened the gateway; `name` or `name:port`. */
	hosts: ReadonlySet<string>;
	proxy: Proxy;
}

export interface Way {
	/** As the caller's browser has it in its address bar: `name` or `name:port`. */
	host: string;
	/**
	 * From where, as far as can be known: for rates, never for rights. An IPv4 address, or the /64 of an
	 * IPv6 one: whoever has one address of that has them all.
	 */
	network: string;
	https: boolean;
	/** Through the proxy, so from another machine. */
	remote: boolean;
}

/** A name that an attacker's DNS could point here is none of these (DNS rebinding). */
const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/;
const PEERS = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const ADDRESS = /^[0-9a-f.:]{2,45}$/i;

export const isLoopback = (host: string) => LOOPBACK.test(host);

const isOurs = (host: string, hosts: ReadonlySet<string>) =>
	isLoopback(host) || hosts.has(host) || hosts.has(host.replace(/:\d{1,5}$/, ''));

/** The last of a list of hops: the one that the nearest proxy wrote. */
const last = (list: string | null) => list?.split(',').at(-1)?.trim() ?? null;

/**
 * null: under a name that is not ours, whatever else it carries. What a proxy tells of its caller is
 * believed from a hop on this machine alone, and only where the owner said that there is one.
 */
export function wayOf(headers: Headers, peer: string, door: Door): Way | null {
	const host = (headers.get('host') ?? '').toLowerCase();
	// Before anything that a proxy may say: a page of a rebound name can set all those headers.
	if (!isOurs(host, door.hosts)) return null;
	const direct = { host, network: networkOf(peer), https: false, remote: !isLoopback(host) };
	if (door.proxy === 'none' || !PEERS.has(peer)) return direct;

	if (door.proxy === 'cloudflare') {
		const address = headers.get('cf-connecting-ip');
		// Told by headers, too: a tunnel can be set up to say `localhost` for its Host.
		if (address === null && !headers.has('cf-ray') && isLoopback(host)) return direct;
		return proxied(host, address, headers);
	}
	const forwarded = last(headers.get('x-forwarded-host'))?.toLowerCase();
	const address = last(headers.get('x-forwarded-for'));
	if (forwarded === undefined && address === null && isLoopback(host)) return direct;
	if (forwarded !== undefined && !isOurs(forwarded, door.hosts)) return null;
	return proxied(forwarded ?? host, address, headers);
}

/** The address, or the first 64 bits of an IPv6 one. */
export function networkOf(address: string): string {
	const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
	if (mapped) return mapped;
	// A URL has one spelling for each address.
	const host = address.includes(':') ? URL.parse(`http://[${address}]`)?.hostname : undefined;
	if (!host) return address;
	const [head = '', tail] = host.slice(1, -1).split('::');
	const first = head ? head.split(':') : [];
	const last = tail ? tail.split(':') : [];
	const zeros = tail === undefined ? [] : Array<string>(8 - first.length - last.length).fill('0');
	return `${[...first, ...zeros, ...last].slice(0, 4).join(':')}::/64`;
}

function proxied(host: string, address: string | null, headers: Headers): Way {
	return {
		host,
		network: address !== null && ADDRESS.test(address) ? networkOf(address) : 'proxy',
		https: last(headers.get('x-forwarded-proto')) === 'https',
		remote: true,
	};
}

export const isSafe = (method: string) => method === 'GET' || method === 'HEAD';

/**
 * Whether it was our own page that asked. Asked of every request that a browser gives its rights to
 * by itself (a cookie, or being on this machine); not of one that shows a token, which only a program
 * can.
 */
export function isOwnSite(headers: Headers, method: string, way: Way): boolean {
	const site = headers.get('sec-fetch-site');
	const origin = headers.get('origin');
	if (origin !== null && !isOwnOrigin(origin, way)) return false;
	if (site !== null) return site === 'same-origin' || (site === 'none' && isSafe(method));
	// Every browser names the origin of what is not safe; one that does not is no page of ours.
	return origin !== null || isSafe(method);
}

function isOwnOrigin(origin: string, { host, https }: Way): boolean {
	const url = URL.parse(origin);
	return url !== null && url.host === host && (!https || url.protocol === 'https:');
}
