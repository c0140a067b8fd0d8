/** Streams as they come over the network, for tests. */

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export function stream(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
	return new ReadableStream({
		start(controller) {
			for (const chunk of chunks) controller.enqueue(chunk);
			controller.close();
		},
	});
}
