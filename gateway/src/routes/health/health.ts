/** How the twin stands, in the page's words: what is well, what is not, and what to do about it. */
import type { components } from '#lib/api.d.ts';
import { bytes, count } from '#lib/format.ts';

export type State = components['schemas']['State'];
export type Caller = components['schemas']['CallerOut'];
type Listening = State['listening'][number];
type Role = Listening['role'];

export interface Check {
	/** 'plain': nobody can say, or nothing to judge. */
	tone: 'good' | 'warn' | 'bad' | 'plain';
	title: string;
	told: string;
}

/** The twin's parts, as the owner knows them. */
export const ROLES: Record<Role, string> = {
	api: 'The twin',
	gateway: 'The gateway',
	supervisor: 'twin serve',
	job: 'A job',
	'model server': 'A model server',
};

/** "3 h 20 min" since it started, to the minute. */
export function uptime(seconds: number): string {
	const minutes = Math.floor(seconds / 60);
	const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
	if (minutes < 1) return 'less than a minute';
	if (days > 0) return `${count(days, 'day')} ${hours} h`;
	return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** Memory by part, the largest first, in gigabytes. */
export function parts({ processes }: State['memory']): { label: string; value: number }[] {
	const sums = new Map<Role, number>();
	for (const one of processes) sums.set(one.role, (sums.get(one.role) ?? 0) + one.bytes);
	return [...sums]
		.sort(([, a], [, b]) => b - a)
		.map(([role, taken]) => ({ label: `${ROLES[role]}: ${bytes(taken)}`, value: taken / 1e9 }));
}

/** "0.4 of 2 at work"; more than there are is a queue, not work. */
export function load({ load, count: cores }: State['cores']): string {
	return load > cores
		? `${load.toFixed(1)} wait for ${count(cores, 'core')}`
		: `${load.toFixed(1)} of ${cores} at work`;
}

/** All that is worth a look, in the order in which it matters. */
export function checks(state: State): Check[] {
	return [listens(state), encrypted(state), tunnels(state), fits(state), audited(state)];
}

function listens({ listening }: State): Check {
	const open = listening.filter((one) => !one.private);
	if (open.length === 0) {
		return {
			tone: 'good',
			title: 'Only this machine is answered',
			told: 'Nothing of the twin listens where another machine could reach it.',
		};
	}
	const who = open.map(({ role, address }) => `${ROLES[role]} at ${address}`).join(', ');
	return {
		tone: 'bad',
		title: 'Other machines can reach it',
		told: `${who}. End it and start it again with \`twin serve\`, which listens on loopback alone.`,
	};
}

function encrypted({ disk, platform }: State): Check {
	const mac = /mac|darwin/i.test(platform);
	switch (disk.encryption) {
		case 'on':
			return {
				tone: 'good',
				title: 'The disk is encrypted',
				told: 'Whoever takes the machine cannot read your mail and recordings.',
			};
		case 'off':
			return {
				tone: 'bad',
				title: 'The disk is not encrypted',
				told: mac
					? 'Turn FileVault on: System Settings, Privacy & Security.'
					: 'Move the home to a disk under LUKS: whoever takes this one can read it.',
			};
		default:
			return {
				tone: 'plain',
				title: 'Nobody knows whether the disk is encrypted',
				told: 'The system does not say. Look into its settings.',
			};
	}
}

function tunnels({ tunnels }: State): Check {
	if (tunnels.length === 0) {
		return {
			tone: 'good',
			title: 'No tunnel is open',
			told: 'No program that lets others in from outside is running.',
		};
	}
	return {
		tone: 'warn',
		title: `${tunnels.join(' and ')} ${tunnels.length === 1 ? 'is' : 'are'} running`,
		told: 'Whoever it lets in reaches the sign-in of this page.',
	};
}

function fits({ memory }: State): Check {
	const told = `${bytes(memory.used)} of ${bytes(memory.budget)}; this machine has ${
		bytes(memory.available)
	} left.`;
	return memory.used > memory.budget
		? { tone: 'warn', title: 'It takes more memory than it should', told }
		: { tone: 'good', title: 'It fits into its memory', told };
}

const AUDITED: Record<NonNullable<State['audit']>['state'], [Check['tone'], string]> = {
	ok: ['good', 'Nothing tried to leave the machine'],
	warn: ['warn', 'Nothing tried to leave the machine, as far as could be watched'],
	unknown: ['warn', 'Whether anything leaves the machine could not be watched'],
	bad: ['bad', 'The last audit of the network failed'],
};

function audited({ audit }: State): Check {
	if (!audit) {
		return {
			tone: 'plain',
			title: 'What leaves the machine was never watched',
			told: 'To see for yourself: `twin audit network`.',
		};
	}
	const [tone, title] = AUDITED[audit.state];
	return { tone, title, told: `${audit.at.slice(0, 10)}: ${audit.evidence}.` };
}

/** "may write and speak", "may do everything". */
export const may = (scope: Caller['scope']): string =>
	scope === 'owner' ? 'may do everything' : 'may write and speak';

/** Milliseconds in which a browser that is used was used. */
const LATELY = 7 * 24 * 60 * 60 * 1000;
/** Rows that one overlooks. */
const SOME = 5;

/** Browsers that matter, the asking one first and the others as they were last used; and the rest. */
export function browsers<C extends Pick<Caller, 'id' | 'made_at' | 'used_at'>>(
	all: readonly C[],
	current: string | null,
	now = Date.now(),
): { near: C[]; far: C[] } {
	const used = ({ id, made_at, used_at }: C) =>
		id === current ? Infinity : Date.parse(used_at ?? made_at);
	const sorted = all.toSorted((one, other) => used(other) - used(one));
	const near = sorted.filter((one, at) => at < SOME && now - used(one) < LATELY);
	return { near, far: sorted.slice(near.length) };
}
