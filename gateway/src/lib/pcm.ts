/** A WAV as it comes in, piece by piece: its samples at once, and the whole file at the end. */

import { Trouble } from './trouble.ts';

interface Head {
	rate: number; // Hertz
	/** Where the samples begin in the file. */
	from: number;
}

/** 16 bit, mono: what the twin streams. Plays nothing, and holds the sound once, as it came. */
export class PcmStream {
	rate = 0; // Hertz; 0 until the head is here
	#head = new Uint8Array(0);
	/** Whole samples, block by block. */
	#blocks: Uint8Array[] = [];
	/** What came and is no whole sample, or no whole head, yet. */
	#rest: Uint8Array = new Uint8Array(0);

	/** The samples in [-1, 1] that came with these bytes, a block of them; wherever it was cut. */
	push(bytes: Uint8Array): Float32Array<ArrayBuffer> {
		let data = joined([this.#rest, bytes]);
		if (this.rate === 0) {
			const head = headOf(data);
			if (!head) {
				this.#rest = data;
				return new Float32Array(0);
			}
			this.rate = head.rate;
			this.#head = data.slice(0, head.from);
			data = data.subarray(head.from);
		}
		const whole = data.length - (data.length % 2);
		this.#rest = data.slice(whole);
		if (whole === 0) return new Float32Array(0);
		this.#blocks.push(data.slice(0, whole));
		return this.samples(this.#blocks.length - 1);
	}

	/** The samples of a block, which are counted from 0 on as they were pushed; empty pushes are none. */
	samples(block: number): Float32Array<ArrayBuffer> {
		const data = this.#blocks[block] ?? new Uint8Array(0);
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		return Float32Array.from(
			{ length: data.length / 2 },
			(_, at) => view.getInt16(2 * at, true) / 32768,
		);
	}

	/** The file, with the lengths that its head could not know while it was streamed. */
	file(): Blob {
		const head = this.#head.slice();
		const length = this.#blocks.reduce((sum, block) => sum + block.length, 0);
		if (head.length > 0) {
			const view = new DataView(head.buffer);
			view.setUint32(4, head.length - 8 + length, true);
			view.setUint32(head.length - 4, length, true);
		}
		return new Blob([head, ...this.#blocks as Uint8Array<ArrayBuffer>[]], { type: 'audio/wav' });
	}
}

const unreadable = () =>
	new Trouble('The sound cannot be read', 'It is no WAV as the twin speaks. Try again.');

/** The head's facts; null when it has not come as a whole. Throws when this is no such WAV. */
function headOf(data: Uint8Array): Head | null {
	if (data.length < 12) return null;
	const view = new DataView(data.buffer, data.byteOffset, data.length);
	const name = (at: number) => String.fromCharCode(...data.subarray(at, at + 4));
	if (name(0) !== 'RIFF' || name(8) !== 'WAVE') throw unreadable();
	let rate = 0;
	for (let at = 12; at + 8 <= data.length;) {
		if (name(at) === 'data') return rate ? { rate, from: at + 8 } : null;
		const size = view.getUint32(at + 4, true);
		if (name(at) === 'fmt ' && at + 24 <= data.length) {
			const [format, channels, bits] = [at + 8, at + 10, at + 22];
			const is = view.getUint16(format, true) === 1 && view.getUint16(channels, true) === 1;
			if (!is || view.getUint16(bits, true) !== 16) throw unreadable();
			rate = view.getUint32(at + 12, true);
		}
		at += 8 + size + (size % 2);
	}
	return null;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
	let at = 0;
	for (const piece of pieces) {
		all.set(piece, at);
		at += piece.length;
	}
	return all;
}

/** Bytes of base64, as audio comes in events. */
export const unbase64 = (text: string): Uint8Array =>
	Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
