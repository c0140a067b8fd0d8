import { expect, test } from 'vitest';
import { far, follow, type Source } from '../src/lib/jobs.ts';

test.each(
	[
		[{ done: 1204, total: 3000, unit: 'messages' }, '1,204 of 3,000 messages'],
		[{ done: 3_000_000, total: 20_000_000, unit: 'bytes' }, '3.0 MB of 20.0 MB'],
		[{ done: 7, total: null, unit: 'prompts' }, '7 prompts'],
		[{ done: 0.4, total: 12, unit: '' }, '0 of 12'],
		[{ done: 0, total: null, unit: 'pairs' }, ''],
	] as const,
)('%j is "%s"', (progress, words) => expect(far(progress)).toBe(words));

class Stream extends EventTarget implements Source {
	readyState = 1;
	close() {
		this.readyState = 2;
	}
	send(type: string, data?: unknown) {
		this.dispatchEvent(new MessageEvent(type, { data: data as string }));
	}
}

function watched(id = 'j1') {
	const stream = new Stream();
	const log: unknown[] = [];
	let url = '';
	const stop = follow(id, {
		progressed: (moment) => log.push(moment),
		ended: (job) => log.push(job),
		connected: (there) => log.push(there),
		refused: () => log.push('refused'),
	}, (asked) => {
		url = asked;
		return stream;
	});
	return { stream, log, stop, url };
}

test('a job is followed to its end, over a broken connection; then nothing is asked any more', () => {
	const { stream, log, url } = watched('a/b');
	stream.send('open');
	stream.send('progress', '{"state":"running","stage":"reading"}');
	stream.send('progress', 'not JSON');
	stream.send('progress', '{"state":"toString"}');
	stream.readyState = 0;
	stream.send('error');
	stream.readyState = 1;
	stream.send('open');
	stream.send('end', '{"id":"a/b","kind":"import","state":"done"}');
	expect(url).toBe('/api/jobs/a%2Fb/events');
	expect(log).toEqual([
		true,
		{ state: 'running', stage: 'reading' },
		false,
		true,
		{ id: 'a/b', kind: 'import', state: 'done' },
	]);
	expect(stream.readyState).toBe(2);
});

test('a stream that the gateway refuses is told, and one that is left is closed', () => {
	const { stream, log, stop } = watched();
	stream.readyState = 2;
	stream.send('error');
	expect(log).toEqual([false, 'refused']);
	const other = watched();
	other.stop();
	expect(other.stream.readyState).toBe(2);
	stop();
});
