/**
 * Cloudflare Access: the proof that its edge let a caller through (a JWT, RS256).
 * The gateway cannot reach the network, so the keys lie in a file that the owner's machine refreshes.
 */
import { readFile } from 'node:fs/promises';

export interface Access {
	/** The team's name: TEAM.cloudflareaccess.com. */
	team: string;
	/** The application's audience tag. */
	audience: string;
	/** The file of its certificates (JSON Web Key Set). */
	keys: string;
}

/** How long a file that was read is not read again, found or not. */
const AGAIN_MS = 10_000;
/** After this long it is read again, so that a key that was taken back is not believed for ever. */
const STALE_MS = 300_000;
/** Seconds by which clocks may differ. */
const LEEWAY = 60;
/** Characters; Cloudflare's have about 1,000. */
const LONGEST = 8_192;

type Json = Record<string, unknown>;

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

function bytes(part: string): Uint8Array<ArrayBuffer> | null {
	return /^[\w-]+$/.test(part) ? Uint8Array.from(Buffer.from(part, 'base64url')) : null;
}

function json(part: string): Json | null {
	try {
		const value = JSON.parse(
			new TextDecoder('utf-8', { fatal: true }).decode(bytes(part) ?? undefined),
		);
		return typeof value === 'object' && value !== null ? value : null;
	} catch {
		return null;
	}
}

export class AccessCheck {
	#keys = new Map<string, CryptoKey>();
	#read = -Infinity;

	constructor(readonly access: Access, readonly now: () => number = () => Date.now()) {}

	/** Reads the keys before the first request, so that a file that cannot be read shows at the start. */
	async prepare() {
		await this.#load();
	}

	/** Whether this is a proof of Cloudflare Access for this application, and holds now. */
	async admits(proof: string | null): Promise<boolean> {
		if (proof === null || proof.length > LONGEST) return false;
		const [head, body, signature, more] = proof.split('.');
		if (!head || !body || !signature || more !== undefined) return false;
		const header = json(head);
		// The one algorithm that is meant: a proof may not choose how it is checked.
		if (header?.alg !== 'RS256' || typeof header.kid !== 'string') return false;
		const [key, signed] = [await this.#key(header.kid), bytes(signature)];
		if (!key || !signed) return false;
		const text = new TextEncoder().encode(`${head}.${body}`);
		return await crypto.subtle.verify(RSA, key, signed, text) && this.#holds(json(body));
	}

	#holds(claims: Json | null): boolean {
		if (claims === null) return false;
		const { iss, aud, exp, nbf = 0 } = claims;
		const now = this.now() / 1000;
		return iss === `https://${this.access.team}.cloudflareaccess.com` &&
			(Array.isArray(aud) ? aud : [aud]).includes(this.access.audience) &&
			typeof exp === 'number' && exp > now - LEEWAY &&
			typeof nbf === 'number' && nbf < now + LEEWAY;
	}

	async #key(id: string): Promise<CryptoKey | undefined> {
		const age = this.now() - this.#read;
		if (age > STALE_MS || (age > AGAIN_MS && !this.#keys.has(id))) await this.#load();
		return this.#keys.get(id);
	}

	async #load() {
		this.#read = this.now();
		const keys = new Map<string, CryptoKey>();
		try {
			const { keys: list } = JSON.parse(await readFile(this.access.keys, 'utf-8')) as {
				keys: Json[];
			};
			for (const { kid, kty, n, e } of list) {
				if (typeof kid !== 'string' || kty !== 'RSA') continue;
				const jwk = { kty, n, e, alg: 'RS256', ext: true } as JsonWebKey;
				keys.set(kid, await crypto.subtle.importKey('jwk', jwk, RSA, false, ['verify']));
			}
		} catch {
			// Half written, perhaps: what was read before is as good as it was. Without any, nobody comes in.
			console.error('gateway: the keys of Cloudflare Access cannot be read: see TWIN_ACCESS_KEYS');
			return;
		}
		this.#keys = keys;
	}
}
