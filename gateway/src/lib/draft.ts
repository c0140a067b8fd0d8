/** A draft as it is written: the text in OpenAI's completion chunks. */
import { events } from './sse.ts';
import { Trouble } from './trouble.ts';

interface Chunk {
	choices?: { delta?: { content?: string | null } }[];
	error?: unknown;
}

/** Pieces of the draft in order; Trouble when the stream ends before the draft does. */
export async function* pieces(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
	let complete = false;
	for await (const { data } of events(body)) {
		complete ||= data === '[DONE]';
		// Read on to the end: a stream left early looks to the twin as if its reader had hung up.
		if (complete) continue;
		const chunk = parse(data);
		if (!chunk || chunk.error) break;
		const piece = chunk.choices?.[0]?.delta?.content;
		if (piece) yield piece;
	}
	if (!complete) {
		throw new Trouble('The draft broke off', 'Try again; what was written so far is kept below.');
	}
}

function parse(data: string): Chunk | null {
	try {
		return JSON.parse(data) as Chunk;
	} catch {
		return null;
	}
}
