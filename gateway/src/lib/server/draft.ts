/** A3: a draft, asked of FastAPI's chat completions. */
import { gone } from './body.ts';
import type { Caller } from './callers.ts';
import { problem } from './problem.ts';
import { pass } from './twin.ts';
import { completion, retold, type Task } from './words.ts';

/** Of a completion, what A3 hands on. */
interface Completion {
	model: string;
	choices: { message: { content: string }; finish_reason: string }[];
	taken_off?: unknown;
}

/** The whole draft as `{"text": …}`, or OpenAI's event stream, passed on byte for byte. */
export async function draft(
	task: Task,
	caller: Caller,
	signal: AbortSignal,
): Promise<Response> {
	const answer = await pass({
		method: 'POST',
		path: '/v1/chat/completions',
		headers: new Headers({ 'content-type': 'application/json' }),
		body: JSON.stringify(completion(task)),
		caller,
		signal,
	});
	if (!answer.ok) {
		const { status, headers } = answer;
		return new Response(answer.body && retold(await answer.text()), { status, headers });
	}
	if (task.stream) {
		if (answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer;
		await answer.body?.cancel();
		return problem('twin-failed');
	}
	try {
		const { model, choices: [choice], taken_off = [] } = await answer.json() as Completion;
		if (typeof choice?.message.content !== 'string') return problem('twin-failed');
		const { message: { content: text }, finish_reason } = choice;
		return Response.json({ text, model, finish_reason, taken_off });
	} catch {
		return signal.aborted ? gone() : problem('twin-failed');
	}
}
