import { building } from '$app/env';
import { defineEnvVars } from '@sveltejs/kit/env';

const secret = (name: string) => (value: string | undefined) => {
	if (building) return '';
	if (!value || value.length < 32) throw new Error(`${name} must have at least 32 characters.`);
	return value;
};

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
		schema: secret('TWIN_TOKEN'),
	},
	TWIN_KEY: {
		description: 'The bearer token that callers show: programs, and the page',
		schema: secret('TWIN_KEY'),
	},
});
