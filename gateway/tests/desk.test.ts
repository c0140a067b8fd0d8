/** The Write room's desk and the client below it, over a network that says what a test tells it. */
import { beforeEach, expect, test, vi } from 'vitest';
import { asked, network, refused } from './network.ts';
import { bytes, stream } from './streams.ts';

// The browser's way out: here, nothing is heard.
vi.stubGlobal(
	'AudioContext',
	class {
		resume = () => Promise.resolve();
		suspend = () => Promise.resolve();
	},
);
vi.stubGlobal('cancelAnimationFrame', () => {});

const { desk, Draft, LONGEST } = await import('../src/lib/desk.svelte.ts');
const { isUnsaved } = await import('../src/lib/unsaved.ts');
const { session } = await import('../src/lib/session.svelte.ts');

const delta = (content: string) =>
	`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const drafted = (text: string) =>
	new Response(stream(bytes(`${delta(text)}data: [DONE]\n\n`)), {
		headers: { 'content-type': 'text/event-stream' },
	});
/** Until nobody writes. */
const written = () =>
	vi.waitFor(() => expect(desk.drafts.some(({ work }) => work.busy)).toBe(false));

beforeEach(() => {
	asked.length = 0;
	desk.drafts = [];
	Object.assign(desk, {
		context: '',
		wish: '',
		kind: 'reply',
		register: 'any',
		length: 'any',
		to: '',
	});
	network.answer = () => drafted(' Thursday works. ');
});

test('what came in makes it an answer; without it, one writes first (W2)', () => {
	desk.wish = ' Thursday works ';
	expect(desk.task).toMatchObject({
		wish: 'Thursday works',
		brief: { kind: 'write', context: '' },
	});
	desk.context = 'Can we meet?';
	expect(desk.task.brief).toMatchObject({ kind: 'reply', context: 'Can we meet?' });
	desk.kind = 'rewrite';
	expect(desk.task.brief.kind).toBe('rewrite');
	desk.wish = '';
	expect(desk.ready).toBe(true);
});

test('an alternative has a seed of its own; the base model writes where it is asked to', async () => {
	desk.wish = 'Thursday works';
	desk.begin();
	desk.add();
	desk.add(true);
	await written();
	expect(asked.map(({ path }) => path)).toEqual(Array(3).fill('/api/v1/chat/completions'));
	expect(asked.map(({ body }) => [body.model, body.seed])).toEqual([
		['twin', 0],
		['twin', 1],
		['base', 0],
	]);
	// One that was put away gives its seed to no other.
	desk.drop(desk.drafts[1]!);
	desk.add();
	await written();
	expect(asked.at(-1)?.body.seed).toBe(2);
	expect(desk.drafts.every(({ text }) => text === 'Thursday works.')).toBe(true);
});

test('what a new draft took the place of can be brought back', async () => {
	desk.wish = 'x';
	desk.begin();
	await written();
	const before = desk.begin();
	await written();
	expect(desk.drafts).toHaveLength(1);
	desk.restore(before);
	expect(desk.drafts.map(({ number }) => number)).toEqual([1, 2]);
	expect(desk.drafts[0]).toBe(before[0]);
});

test('what the owner changed is told from what the twin wrote, and kept as a pair', async () => {
	desk.context = 'Can we meet?';
	desk.register = 'chat';
	desk.begin();
	await written();
	const draft = desk.drafts[0]!;
	expect(draft.edited).toBe(false);
	draft.text = 'Thursday it is.';
	expect(draft.edited).toBe(true);

	network.answer = () => Response.json({ id: 'k1' }, { status: 201 });
	expect(await draft.keep()).toBe('k1');
	expect(draft.kept).toBe('k1');
	expect(asked.at(-1)).toEqual({
		path: '/api/pairs',
		form: false,
		body: {
			instruction: '',
			context: 'Can we meet?',
			kind: 'reply',
			to: '',
			register: 'chat',
			reply: 'Thursday it is.',
		},
	});
	draft.text = 'Thursday it is, then.';
	expect(draft.kept).toBeNull();
});

test('kept again after an edit, it replaces what it was; Undo takes back the one that it was told of', async () => {
	const draft = new Draft(1, desk.task, false, 0);
	await draft.write();
	let next = 0;
	const gone: string[] = [];
	network.answer = ({ method, url }) => {
		if (method === 'POST') return Response.json({ id: `k${++next}` }, { status: 201 });
		gone.push(url.split('/').at(-1)!);
		return new Response(null, { status: 204 });
	};
	draft.text = 'Ana, Thursday works.';
	const first = await draft.keep();
	draft.text = 'Ana, Thursday works. See you.';
	expect(draft.kept).toBeNull();
	await draft.forget(first!);
	expect(gone).toEqual(['k1']);

	await draft.keep();
	draft.text = 'Ana, Thursday.';
	await draft.keep();
	expect(gone).toEqual(['k1', 'k2']);
	expect(draft.kept).toBe('k3');
	network.answer = () => refused(404, 'unknown-pair');
	await draft.forget('k3');
	expect([draft.kept, draft.work.trouble]).toEqual([null, null]);
});

test('no draft of the base model, and none that broke off, is an example before it is edited', async () => {
	const [twin, base] = [new Draft(1, desk.task, false, 0), new Draft(2, desk.task, true, 0)];
	await Promise.all([twin.write(), base.write()]);
	expect([twin.exemplary, base.exemplary]).toEqual([true, false]);
	base.text = 'As I would say it.';
	expect(base.exemplary).toBe(true);

	network.answer = () => new Response(stream(bytes(delta('Thurs'))));
	await twin.write();
	expect(twin).toMatchObject({ text: 'Thurs', exemplary: false, broken: true });
	twin.text = 'Thursday.';
	expect(twin).toMatchObject({ exemplary: true, broken: false });
});

test('what cannot be spoken says why (S2), in the voice that is the first of several', async () => {
	const draft = new Draft(1, desk.task, false, 0);
	await draft.write();
	network.answer = ({ url }) =>
		url.endsWith('/audio/voices')
			? Response.json({ data: [{ id: 'base' }, { id: 'meera' }, { id: 'thota' }], problem: '' })
			: refused(422, 'no-consent');
	await draft.hear();
	expect(asked.at(-1)).toMatchObject({ path: '/api/v1/audio/speech', body: { voice: 'meera' } });
	expect(draft.work).toMatchObject({
		trouble: { kind: 'no-consent' },
		stopped: false,
		doing: null,
	});
	expect(draft.track).toBeNull();
});

test('a pair is never broken off while it is being kept', async () => {
	desk.begin();
	await written();
	const [draft] = desk.drafts as [InstanceType<typeof Draft>];
	const { promise, resolve } = Promise.withResolvers<Response>();
	let broken = false;
	network.answer = ({ signal }) => {
		signal.addEventListener('abort', () => (broken = true));
		return promise;
	};
	const keeping = draft.keep();
	desk.stop();
	resolve(Response.json({ id: 'k1' }, { status: 201 }));
	expect([await keeping, broken]).toEqual(['k1', false]);
});

test('what was edited or is being written holds the tab, until it is kept', async () => {
	desk.wish = 'x';
	desk.begin();
	expect(isUnsaved()).toBe(true);
	await written();
	expect(isUnsaved()).toBe(false);
	const [draft] = desk.drafts as [InstanceType<typeof Draft>];
	draft.text = 'Mine.';
	expect(isUnsaved()).toBe(true);
	network.answer = () => Response.json({ id: 'k1' }, { status: 201 });
	await draft.keep();
	expect(isUnsaved()).toBe(false);
});

test('a text that the API would refuse is not asked for', () => {
	desk.context = 'x'.repeat(LONGEST);
	expect(desk.ready).toBe(true);
	desk.context += 'x';
	expect(desk.ready).toBe(false);
});

test('a draft that is stopped keeps what was written, and what hangs up reaches the twin', async () => {
	let gone = false;
	network.answer = ({ signal }) => {
		const body = new ReadableStream<Uint8Array>({
			start(controller) {
				controller.enqueue(bytes(delta('Thurs')));
				signal.addEventListener('abort', () => {
					gone = true;
					controller.error(signal.reason);
				});
			},
		});
		return new Response(body);
	};
	desk.wish = 'x';
	desk.begin();
	await vi.waitFor(() => expect(desk.drafts[0]?.text).toBe('Thurs'));
	desk.stop();
	await written();
	expect(gone).toBe(true);
	expect(desk.drafts[0]).toMatchObject({ text: 'Thurs', written: 'Thurs' });
	expect(desk.drafts[0]?.work).toMatchObject({ stopped: true, trouble: null });
});

test('a refusal is trouble of that draft alone', async () => {
	const draft = new Draft(1, desk.task, false, 0);
	network.answer = () => refused(409, 'no-adapter');
	await draft.write();
	expect(draft.work.trouble).toMatchObject({ status: 409, kind: 'no-adapter' });
	expect(session.ended).toBe(false);
	network.answer = () => Promise.reject(new TypeError('fetch failed'));
	await draft.write();
	expect(draft.work.trouble?.title).toBe('The gateway does not answer');
});

test('a session that has ended is told once, and whoever waits is called when it begins again', async () => {
	const draft = new Draft(1, desk.task, false, 0);
	network.answer = () => refused(401, 'no-key');
	await draft.write();
	expect(session.ended).toBe(true);
	const again = vi.fn();
	const forgotten = vi.fn();
	session.wait(again);
	session.wait(forgotten)();
	network.answer = () => Response.json({ id: 'session:1' });
	await session.open({ code: 'x' });
	expect(session.ended).toBe(false);
	expect(again).toHaveBeenCalledOnce();
	expect(forgotten).not.toHaveBeenCalled();
});
