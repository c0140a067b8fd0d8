import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Job, Source, State } from '../src/lib/jobs.ts';
import { Trouble } from '../src/lib/trouble.ts';
import { type Kind, Watch, type Ways } from '../src/lib/watch.svelte.ts';

class Stream extends EventTarget implements Source {
	readyState = 1;
	close() {
		this.readyState = 2;
	}
	send(type: string, data?: unknown) {
		this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
	}
	refuse() {
		this.readyState = 2;
		this.send('error');
	}
}

function job(id: string, kind: Kind, state: State, more: Partial<Job> = {}): Job {
	return {
		id,
		kind,
		name: 'main',
		state,
		created_at: '2026-11-29T10:00:00Z',
		started_at: null,
		ended_at: null,
		attempts: 1,
		can_cancel: false,
		can_resume: state === 'interrupted' || state === 'cancelled' || state === 'failed',
		problem: null,
		result: null,
		stage: null,
		progress: null,
		training: null,
		plan: null,
		...more,
	};
}

const step = (step: number, loss: number, validation: number) => ({
	state: 'running',
	stage: 'training',
	progress: { done: step, total: 10, unit: 'steps', seconds_left: 60 - step },
	training: {
		step,
		total: 10,
		loss,
		validation,
		tokens_per_second: 9,
		memory: 1,
		seconds_left: 60,
	},
	plan: null,
});

/** A twin that has these jobs, and tells of them when the test says so. */
function house(...jobs: Job[]) {
	const streams: Stream[] = [];
	const ended: string[] = [];
	let leave = () => {};
	const sight = { seen: true, changed: () => {} };
	const of = (id: string) => jobs.find((one) => one.id === id)!;
	const ways: Ways & { curve: { step: number; training: number; validation: number }[] } = {
		curve: [],
		list: () => Promise.resolve(jobs.map((one) => ({ ...one }))),
		get: (id: string) => Promise.resolve({ ...of(id), curve: ways.curve }),
		cancel: (id: string) => Promise.resolve(Object.assign(of(id), { state: 'cancelling' })),
		resume: (id: string) => Promise.resolve(Object.assign(of(id), { state: 'queued' })),
		open() {
			streams.push(new Stream());
			return streams.at(-1)!;
		},
		left: (act: () => void) => void (leave = act),
		seen: () => sight.seen,
		sight(act: () => void) {
			sight.changed = act;
			return () => (sight.changed = () => {});
		},
	};
	const watch = (...kinds: Kind[]) => new Watch(kinds, ({ id }) => ended.push(id), ways);
	const look = (seen: boolean) => {
		sight.seen = seen;
		sight.changed();
	};
	return { ways, streams, ended, watch, leave: () => leave(), look, of };
}

beforeEach(() => {
	vi.useFakeTimers();
	vi.setSystemTime('2026-11-29T12:00:00Z');
});
afterEach(() => vi.useRealTimers());

test.each(
	[
		['running', '', true],
		['queued', '', true],
		['cancelling', '', true],
		['interrupted', '2026-11-01T12:00:00Z', true],
		['cancelled', '2026-11-01T12:00:00Z', true],
		['failed', '2026-11-29T11:30:00Z', true],
		['failed', '2026-11-29T10:30:00Z', false],
		['done', '2026-11-29T11:59:00Z', false],
	] as const,
)('a job that is %s (ended at "%s") is shown: %s', async (state, ended_at, shown) => {
	const { watch } = house(
		job('other', 'import', 'running'),
		job('mine', 'build', state, { ended_at: ended_at || null }),
	);
	const mine = watch('build');
	await mine.find();
	expect(mine.job?.id).toBe(shown ? 'mine' : undefined);
});

test('of several, the newest of that name is shown', async () => {
	const { watch } = house(
		job('3', 'evaluation', 'running', { name: 'other' }),
		job('2', 'evaluation', 'running'),
		job('1', 'evaluation', 'interrupted'),
	);
	const mine = watch('evaluation');
	await mine.find('main');
	expect(mine.job?.id).toBe('2');
});

test('a training goes on from the curve that is known, and its end is told once', async () => {
	const { watch, ways, streams, ended } = house(job('t', 'training', 'running'));
	ways.curve = [{ step: 1, training: 4, validation: 4.3 }, {
		step: 2,
		training: 3.8,
		validation: 4,
	}];
	const mine = watch('training');
	await mine.find();
	const [stream] = streams as [Stream];
	// The stream tells everything from the beginning.
	for (const now of [step(1, 4, 4.3), step(2, 3.8, 4), step(3, 3.7, 4)]) {
		stream.send('progress', now);
	}
	expect(mine.curve.heldOut).toEqual([{ step: 0, loss: 4.3 }, { step: 2, loss: 4 }]);
	expect(mine.curve.training.map(({ step }) => step)).toEqual([1, 2, 3]);
	expect([mine.left, mine.active]).toEqual([60, true]);
	stream.send('end', job('t', 'training', 'done'));
	expect([ended, mine.active, stream.readyState]).toEqual([['t'], false, 2]);
});

test('a stream that is refused is asked for again, until the job is over', async () => {
	const { watch, streams, ended, of } = house(job('b', 'build', 'running'));
	const mine = watch('build');
	await mine.find();
	streams[0]!.refuse();
	await vi.advanceTimersByTimeAsync(3000);
	expect([streams.length, mine.active]).toEqual([2, true]);
	Object.assign(of('b'), { state: 'done' });
	streams[1]!.refuse();
	await vi.advanceTimersByTimeAsync(3000);
	expect([streams.length, mine.active, ended]).toEqual([2, false, ['b']]);
});

test('a job is found when the twin comes back; one that was started meanwhile stays', async () => {
	const { watch, ways } = house(job('b', 'build', 'running'));
	const list = ways.list;
	ways.list = () => Promise.reject(new Trouble('The twin is away', '', 502));
	const [late, busy] = [watch('build'), watch('build')];
	await Promise.all([late.find(), busy.find()]);
	await busy.watch(job('new', 'build', 'queued'));
	ways.list = list;
	await vi.advanceTimersByTimeAsync(20_000);
	expect([late.job?.id, busy.job?.id]).toEqual(['b', 'new']);
});

test('a page that was left asks nothing any more', async () => {
	const { watch, ways, streams, leave } = house(job('b', 'build', 'running'));
	const mine = watch('build');
	await mine.find();
	leave();
	expect(streams[0]!.readyState).toBe(2);
	ways.list = vi.fn(() => Promise.reject(new Trouble('The twin is away', '', 502)));
	const other = watch('import');
	await other.find();
	leave();
	await vi.advanceTimersByTimeAsync(60_000);
	expect(ways.list).toHaveBeenCalledTimes(1);
});

test('stopped, and gone on with: its events are followed anew', async () => {
	const { watch, streams, ended } = house(job('t', 'import', 'running'));
	const mine = watch('import');
	await mine.find();
	await mine.cancel();
	expect([mine.job?.state, streams.length]).toEqual(['cancelling', 1]);
	streams[0]!.send('end', job('t', 'import', 'cancelled'));
	await mine.resume();
	expect([mine.job?.state, streams.length, ended]).toEqual(['queued', 2, ['t']]);
});

test('what cannot be stopped says why, and is watched on', async () => {
	const { watch, ways, streams } = house(job('t', 'import', 'running'));
	const over = new Trouble('That is not possible now', 'This job is done already.', 409);
	ways.cancel = () => Promise.reject(over);
	const mine = watch('import');
	await mine.find();
	await mine.cancel();
	expect([mine.trouble, mine.asking, streams[0]!.readyState]).toEqual([over, false, 1]);
});

test.each(['list', 'get', 'resume'] as const)(
	'left while the answer of %s is awaited, no stream is opened that nobody closes',
	async (asked) => {
		const state = asked === 'resume' ? 'interrupted' : 'running';
		const { watch, ways, streams, leave } = house(job('t', 'training', state));
		const mine = watch('training');
		if (asked === 'resume') await mine.find();
		const way = ways[asked] as (id: string) => Promise<unknown>;
		const { promise, resolve } = Promise.withResolvers<void>();
		Object.assign(ways, { [asked]: (id: string) => promise.then(() => way(id)) });
		const asking = asked === 'resume' ? mine.resume() : mine.find();
		leave();
		resolve();
		await asking;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(streams).toEqual([]);
	},
);

test('a tab that nobody looks at holds no connection; looked at again, it has missed nothing', async () => {
	const { watch, streams, ended, look, of } = house(job('b', 'build', 'running'));
	const mine = watch('build');
	look(false);
	await mine.find();
	expect([mine.job?.id, streams.length]).toEqual(['b', 0]);
	look(true);
	await vi.advanceTimersByTimeAsync(0);
	expect(streams).toHaveLength(1);
	look(false);
	expect(streams[0]!.readyState).toBe(2);
	Object.assign(of('b'), { state: 'done' });
	look(true);
	await vi.advanceTimersByTimeAsync(0);
	expect([mine.job?.state, ended, streams.length]).toEqual(['done', ['b'], 1]);
});

test.each(
	[
		['what is at work before what waits', ['queued', 'queued', 'running'], '1'],
		['what has waited longest', ['done', 'queued', 'queued'], '1'],
		['what was interrupted, behind what is done', ['done', 'interrupted', 'done'], '2'],
	] as const,
)('of several it shows %s', async (_, states, shown) => {
	const { watch } = house(
		...states.map((state, at) => job(`${3 - at}`, 'import', state, { name: `${at}.mbox` })),
	);
	const mine = watch('import');
	await mine.find();
	expect(mine.job?.id).toBe(shown);
});

test('what was interrupted and begun anew under its name is no more shown', async () => {
	const { watch } = house(job('2', 'training', 'done'), job('1', 'training', 'interrupted'));
	const mine = watch('training');
	await mine.find();
	expect(mine.job).toBeNull();
});
