/** A draft as it is written: the text in OpenAI's completion chunks. */
import { list, parsed, record, text, texts } from './record.ts';
import { events } from './sse.ts';
import { fromProblem, problemOf, Trouble } from './trouble.ts';

/** How a draft ended. */
export interface Ending {
	/** It reached the most words that were allowed. */
	cut: boolean;
	/** Kinds of what the twin took off, since the owner never writes so: "offer", "sign-off". */
	takenOff: readonly string[];
}

/** Pieces of the draft in order, then its ending; Trouble when the stream ends before it does. */
export async function* pieces(body: ReadableStream<Uint8Array>): AsyncGenerator<string, Ending> {
	let complete = false;
	let trouble: Trouble | null = null;
	const ending = { cut: false, takenOff: [] as string[] };
	for await (const { data } of events(body)) {
		complete ||= data === '[DONE]';
		// Read on to the end: a stream left early looks to the twin as if its reader had hung up.
		if (complete) continue;
		const chunk = parsed(data);
		// A problem document in its place: the status was sent before anything went wrong.
		if (chunk && text(chunk.title)) trouble = fromProblem(problemOf(chunk));
		if (!chunk || chunk.error || trouble) break;
		const choice = record(list(chunk.choices)[0]);
		if (text(choice.finish_reason)) ending.cut = choice.finish_reason === 'length';
		if (chunk.taken_off) ending.takenOff = texts(chunk.taken_off);
		const piece = text(record(choice.delta).content);
		if (piece) yield piece;
	}
	if (complete) return ending;
	throw trouble ??
		new Trouble('The draft broke off', 'Try again; what was written so far is kept below.');
}
