import { building } from '$app/env';
import { defineEnvVars } from '@sveltejs/kit/env';

/** Checked when the gateway starts; while it is built there is nothing to check. */
const when = <T>(absent: T, check: (value: string) => T) => (value: string | undefined): T =>
	building || value === undefined || value === '' ? absent : check(value);

function must(holds: boolean, message: string) {
	if (!holds) throw new Error(message);
}

export const variables = defineEnvVars({
	TWIN_UPSTREAM: {
		description: 'Where FastAPI listens: unix:/abs/path.sock or http://127.0.0.1:PORT',
		schema: (value) => {
			if (building) return '';
			if (value && /^(unix:\/.+|http:\/\/127\.0\.0\.1:\d+)$/.test(value)) return value;
			throw new Error('TWIN_UPSTREAM must be unix:/abs/path.sock or http://127.0.0.1:PORT.');
		},
	},
	TWIN_TOKEN: {
		description: 'The credential that FastAPI asks of the gateway; no caller ever sees it',
		schema: (value) => {
			if (building) return '';
			if (value && value.length >= 32) return value;
			throw new Error('TWIN_TOKEN must have at least 32 characters.');
		},
	},
	TWIN_HOSTS: {
		description: 'Names besides loopback under which the gateway may be asked, with commas',
		schema: when([], (value) => {
			const hosts = value.toLowerCase().split(',').map((host) => host.trim()).filter(Boolean);
			for (const host of hosts) {
				must(
					/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/.test(host),
					'TWIN_HOSTS must be names with commas between: twin.example.org,mac.tailnet.ts.net.',
				);
			}
			return hosts;
		}),
	},
	TWIN_PROXY: {
		description: 'What stands in front of it on this machine: cloudflare or forwarded',
		schema: when<'none' | 'cloudflare' | 'forwarded'>('none', (value) => {
			if (value === 'none' || value === 'cloudflare' || value === 'forwarded') return value;
			throw new Error('TWIN_PROXY must be none, cloudflare or forwarded.');
		}),
	},
	TWIN_ACCESS_TEAM: {
		description: 'Cloudflare Access: the team, as in TEAM.cloudflareaccess.com',
		schema: when('', (value) => {
			must(
				/^[a-z0-9-]+$/.test(value),
				'TWIN_ACCESS_TEAM must be the name before .cloudflareaccess.com.',
			);
			return value;
		}),
	},
	TWIN_ACCESS_AUD: {
		description: 'Cloudflare Access: the audience tag of the application',
		schema: when('', (value) => {
			must(
				/^[0-9a-f]{32,128}$/.test(value),
				'TWIN_ACCESS_AUD must be the audience tag of the application.',
			);
			return value;
		}),
	},
	TWIN_ACCESS_KEYS: {
		description: 'Cloudflare Access: the file of its keys',
		schema: when('', (value) => {
			must(value.startsWith('/'), 'TWIN_ACCESS_KEYS must be the absolute path of a file.');
			return value;
		}),
	},
	TWIN_RATE: {
		description: 'Requests per second of one caller',
		schema: when(50, (value) => {
			const rate = Number(value);
			must(rate >= 1 && rate <= 100_000, 'TWIN_RATE must be a number from 1 to 100000.');
			return rate;
		}),
	},
});
