/** A draft that is written and spoken at once: what comes of it, as events. */
import type { Ending } from './draft.ts';
import { type Heard, heard, reportOf } from './heard.ts';
import { unbase64 } from './pcm.ts';
import { parsed, text, texts } from './record.ts';
import { events } from './sse.ts';
import { fromProblem, problemOf, Trouble } from './trouble.ts';

export type Said =
	| { kind: 'voice'; heard: Heard }
	| { kind: 'text'; delta: string }
	/** A piece of one WAV. */
	| { kind: 'audio'; bytes: Uint8Array }
	| { kind: 'done'; ending: Ending };

/** In order; Trouble when the stream ends before the speech does. */
export async function* sayings(body: ReadableStream<Uint8Array>): AsyncGenerator<Said> {
	let complete = false;
	for await (const { event, data } of events(body)) {
		// Read on to the end: a stream left early looks to the twin as if its reader had hung up.
		if (complete) continue;
		const told = parsed(data);
		if (!told) break;
		switch (event) {
			case 'voice':
				yield { kind: 'voice', heard: heard(text(told.voice), text(told.engine), reportOf(told)) };
				break;
			case 'text':
				yield { kind: 'text', delta: text(told.delta) };
				break;
			case 'audio':
				yield { kind: 'audio', bytes: unbase64(text(told.chunk)) };
				break;
			case 'problem':
				throw fromProblem(problemOf(told));
			case 'done':
				complete = true;
				yield {
					kind: 'done',
					ending: { cut: told.finish_reason === 'length', takenOff: texts(told.taken_off) },
				};
		}
	}
	if (!complete) {
		throw new Trouble('The draft broke off', 'Try again; what was written so far is kept below.');
	}
}
