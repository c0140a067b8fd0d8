/** Server-sent events from a fetch body (EventSource cannot POST). Knows nothing of what they mean. */

export interface ServerEvent {
	event: string;
	data: string;
}

/** Events in order; an unfinished last one is dropped, as the standard asks. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
	let event = '';
	let data: string[] = [];
	for await (const line of lines(body)) {
		if (line === '') {
			if (data.length > 0) yield { event: event || 'message', data: data.join('\n') };
			event = '';
			data = [];
			continue;
		}
		const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
		if (name === 'event') event = value;
		else if (name === 'data') data.push(value);
	}
}

/** Lines that end in \n, \r\n or \r, wherever the chunks were cut. */
async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	let rest = '';
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			rest += decoder.decode(value, { stream: true });
			// A \r at the very end may be the first half of \r\n: wait for what follows.
			const parts = rest.split(/\r\n|\n|\r(?!$)/);
			rest = parts.pop() ?? '';
			yield* parts;
		}
	} finally {
		await reader.cancel().catch(() => {});
	}
}
