import { describe, expect, it } from 'vitest';
import { bytes } from '#lib/format.ts';
import { browsers, checks, load, parts, type State, uptime } from '../src/routes/health/health.ts';

const GB = 1e9;
const state = (change: Partial<State> = {}) =>
	({
		platform: 'Darwin arm64',
		memory: { used: 6 * GB, budget: 18 * GB, available: 9 * GB, total: 24 * GB, processes: [] },
		disk: { encryption: 'on', free: 1, total: 1 },
		listening: [
			{ role: 'api', kind: 'unix', address: '/home/a/run/api.sock', private: true },
			{ role: 'gateway', kind: 'tcp', address: '127.0.0.1:8787', private: true },
		],
		tunnels: [],
		audit: null,
		...change,
	}) as State;

const audit = (state: 'ok' | 'warn' | 'bad' | 'unknown') => ({
	at: '2026-11-28T10:00:00Z',
	state,
	evidence: 'import, training',
});

const tones = (change: Partial<State>) => checks(state(change)).map(({ tone }) => tone).join(' ');

describe('the checks (P1, P4, R1)', () => {
	it.each([
		['all well, never watched', {}, 'good good good good plain'],
		['watched', { audit: audit('ok') }, 'good good good good good'],
		['watched in part', { audit: audit('warn') }, 'good good good good warn'],
		['watched by nobody', { audit: audit('unknown') }, 'good good good good warn'],
		['tried to leave', { audit: audit('bad') }, 'good good good good bad'],
		[
			'open to others',
			{ listening: [{ role: 'api', kind: 'tcp', address: '0.0.0.0:80', private: false }] },
			'bad good good good plain',
		],
		['not encrypted', { disk: { encryption: 'off' } }, 'good bad good good plain'],
		['nobody knows', { disk: { encryption: 'unknown' } }, 'good plain good good plain'],
		['a tunnel', { tunnels: ['Tailscale'] }, 'good good warn good plain'],
		[
			'over budget',
			{ memory: { used: 19 * GB, budget: 18 * GB, available: 1, processes: [] } },
			'good good good warn plain',
		],
	])(
		'%s',
		(_, change, expected) => expect(tones(change as unknown as Partial<State>)).toBe(expected),
	);

	it('name who is open, and what helps on this system', () => {
		const [listens, disk] = checks(state({
			platform: 'Linux x86_64',
			disk: { encryption: 'off', free: 1, total: 1 },
			listening: [{ role: 'gateway', kind: 'tcp', address: '0.0.0.0:8787', private: false }],
		}));
		expect(listens?.told).toContain('The gateway at 0.0.0.0:8787');
		expect(disk?.told).toContain('LUKS');
		expect(checks(state({ disk: { encryption: 'off', free: 1, total: 1 } }))[1]?.told)
			.toContain('FileVault');
	});
});

it('adds memory up by part, the largest first', () => {
	const processes = [
		{ role: 'gateway' as const, pid: 1, bytes: 0.1 * GB },
		{ role: 'job' as const, pid: 2, bytes: 2 * GB },
		{ role: 'job' as const, pid: 3, bytes: 1 * GB },
	];
	expect(parts({ used: 0, budget: 0, total: 0, available: 0, processes })).toEqual([
		{ label: 'A job: 3.0 GB', value: 3 },
		{ label: 'The gateway: 100 MB', value: 0.1 },
	]);
});

it.each([[30, 'less than a minute'], [3_660, '1 h 1 min'], [90_000, 'one day 1 h']])(
	'%i s is %s',
	(seconds, told) => expect(uptime(seconds)).toBe(told),
);

it('counts gigabytes as the budget does', () => {
	expect([bytes(18_000_000_000), bytes(120_400_000_000), bytes(41_200_000)]).toEqual([
		'18.0 GB',
		'120 GB',
		'41.2 MB',
	]);
});

it('says that work waits where there is more of it than cores', () => {
	expect(load({ load: 0.42, count: 2 })).toBe('0.4 of 2 at work');
	expect(load({ load: 6.8, count: 2 })).toBe('6.8 wait for 2 cores');
});

it('shows this browser first, then those that were used lately, and folds the rest', () => {
	const now = Date.parse('2026-11-29T12:00:00Z');
	const one = (id: string, used_at: string | null, made_at = '2026-10-01T00:00:00Z') => ({
		id,
		used_at,
		made_at,
	});
	const { near, far } = browsers(
		[
			one('old', '2026-11-01T00:00:00Z'),
			one('late', '2026-11-29T11:00:00Z'),
			one('fresh', null, '2026-11-29T11:30:00Z'),
			one('this', '2026-09-01T00:00:00Z'),
		],
		'this',
		now,
	);
	expect(near.map(({ id }) => id)).toEqual(['this', 'fresh', 'late']);
	expect(far.map(({ id }) => id)).toEqual(['old']);
});
