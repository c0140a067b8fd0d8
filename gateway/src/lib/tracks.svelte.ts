/** What a Player plays: a file, or speech while it is still being spoken. */
import { session } from './session.svelte.ts';
import { asTrouble, fromResponse, silent, Trouble } from './trouble.ts';
import { PcmStream } from './pcm.ts';
import { peaks } from './wave.ts';

export interface Track {
	/** Sound is heard, or will be as soon as it comes. */
	readonly playing: boolean;
	readonly position: number; // seconds
	/** Of what has come so far; 0 when nobody knows yet. */
	readonly duration: number; // seconds
	/** All of it is here. */
	readonly complete: boolean;
	/** How loud it is, moment by moment, to draw; empty while nobody knows. */
	readonly envelope: Float32Array;
	play(): void;
	pause(): void;
	seek(seconds: number): void;
	/** To save; null while it is not complete. */
	file(): Blob | string | null;
	close(): void;
}

/** Hertz that a file is decoded at to be drawn: less than what is heard. */
const DRAWN_AT = 8_000;
/** Moments of an envelope in a second. An hour is then not more than a browser draws with ease. */
const MOMENTS = 100;

const envelope = (samples: Float32Array, rate: number) =>
	Float32Array.from(peaks(samples, Math.max(1, Math.round((samples.length / rate) * MOMENTS))));

/** MediaError's code of a connection that broke. */
const NETWORK = 2;

/** One is heard at a time. */
let sounding: Track | null = null;

function sound(track: Track) {
	if (sounding !== track) sounding?.pause();
	sounding = track;
}

/** Whether it was the one that is heard. */
function still(track: Track): boolean {
	if (sounding !== track) return false;
	sounding = null;
	return true;
}

/** A file that is here, or at an address. */
export class FileTrack implements Track {
	playing = $state(false);
	position = $state(0);
	envelope: Float32Array = $state.raw(new Float32Array(0));
	/** Why it cannot be heard; it can be tried again. */
	trouble: Trouble | null = $state.raw(null);
	readonly complete = true;
	#measured = $state(0);
	#told = $state(0);
	#audio: HTMLAudioElement | null = null;
	#frame = 0;
	#closed = false;
	#address = '';

	/** `seconds`: how long it is, where that is known; it saves asking for the file before it plays. */
	constructor(readonly source: string | Blob, seconds = 0) {
		this.#told = seconds;
	}

	get duration(): number {
		return this.#measured || this.#told;
	}

	/** Fetches and decodes all of it, for its picture and its length: a browser's own recording says
	 * nothing of how long it is. */
	async draw() {
		try {
			const blob = typeof this.source === 'string' ? await fetched(this.source) : this.source;
			const context = new OfflineAudioContext(1, 1, DRAWN_AT);
			const sound = await context.decodeAudioData(await blob.arrayBuffer());
			if (this.#closed) return;
			this.envelope = envelope(sound.getChannelData(0), DRAWN_AT);
			this.#measured = sound.duration;
		} catch {
			// It has no picture then; whether it can be heard shows when it is played.
		}
	}

	play() {
		this.trouble = null;
		const audio = (this.#audio ??= this.#open());
		if (this.position >= this.duration - 0.05) audio.currentTime = this.position = 0;
		audio.play().catch((error) => {
			this.playing = false;
			if (error.name === 'NotSupportedError') void this.#fail(audio);
		});
	}

	pause() {
		this.#audio?.pause();
	}

	seek(seconds: number) {
		const audio = (this.#audio ??= this.#open());
		audio.currentTime = this.position = Math.min(Math.max(0, seconds), this.duration);
	}

	file() {
		return this.source;
	}

	close() {
		this.#closed = true;
		cancelAnimationFrame(this.#frame);
		this.#audio?.pause();
		// Or what is still loading of a long recording would go on.
		this.#audio?.removeAttribute('src');
		this.#audio?.load();
		if (this.#address) URL.revokeObjectURL(this.#address);
	}

	/** A browser says the same of what it cannot play and of what the twin did not give: so it is asked. */
	async #fail(audio: HTMLAudioElement) {
		if (this.#closed || audio !== this.#audio) return;
		const { source } = this;
		const broke = audio.error?.code === NETWORK;
		// The next try begins with a new one: this one keeps its error.
		this.#audio = null;
		this.playing = false;
		const unknown = broke
			? new Trouble('The connection broke', 'Try again.')
			: new Trouble('This browser cannot play it', '');
		this.trouble = unknown;
		if (typeof source !== 'string') return;
		try {
			await (await given(source)).body?.cancel();
		} catch (error) {
			if (this.trouble === unknown) this.trouble = asTrouble(error);
		}
	}

	#open(): HTMLAudioElement {
		const { source } = this;
		if (typeof source !== 'string') this.#address ||= URL.createObjectURL(source);
		const audio = new Audio(typeof source === 'string' ? source : this.#address);
		audio.onplay = () => {
			sound(this);
			this.playing = true;
			this.#follow();
		};
		audio.onpause = audio.onended = () => {
			still(this);
			this.playing = false;
		};
		audio.onerror = () => void this.#fail(audio);
		audio.ondurationchange = () => {
			if (Number.isFinite(audio.duration) && !this.#measured) this.#measured = audio.duration;
		};
		return audio;
	}

	#follow = () => {
		if (!this.#audio || this.#closed) return;
		this.position = this.#audio.currentTime;
		if (this.playing) this.#frame = requestAnimationFrame(this.#follow);
	};
}

const fetched = async (address: string): Promise<Blob> => await (await given(address)).blob();

/** The answer of an address of this site, if it is good; Trouble otherwise. */
async function given(address: string): Promise<Response> {
	const response = await fetch(address).catch(() => {
		throw silent();
	});
	if (response.status === 401) {
		session.end();
		throw new Trouble('You were signed out', 'Try again.', 401);
	}
	if (!response.ok) throw await fromResponse(response);
	return response;
}

/** Hertz that the twin speaks at (S2). */
const SPOKEN_AT = 22_050;
/** All of them speak through one: browsers allow few. */
let speaker: AudioContext | null = null;
/** Seconds of sound before the first is heard, and again where it has run out: no stutter. */
const HEADWAY = 0.15;
/** Seconds that are made ready to be heard: what the browser plays is twice what came. */
const AHEAD = 60;

/**
 * Speech as it comes: heard from the first sentence on, and a whole file when it is complete. Made in
 * the handler of a click, or browsers let it make no sound.
 */
export class LiveTrack implements Track {
	playing = $state(true);
	position = $state(0);
	duration = $state(0);
	complete = $state(false);
	envelope: Float32Array = $state.raw(new Float32Array(0));
	/** All that has come is heard, and more is to come. */
	waiting = $state(true);
	#stream = new PcmStream();
	#context = (speaker ??= new AudioContext({ sampleRate: SPOKEN_AT }));
	/** Where each block of the stream begins, and ends, in seconds. */
	#blocks: { from: number; to: number }[] = [];
	/** The envelope, and room for it to grow. */
	#levels = new Float32Array(1024);
	#sources = new Set<AudioBufferSourceNode>();
	/** The context's time at which position 0 was, or would have been. */
	#origin = 0;
	/** Position up to which sound is scheduled. */
	#scheduled = 0;
	#frame = 0;
	#closed = false;

	constructor() {
		// As music is, not as a ringing: the silent switch of a phone is not meant for it.
		const phone = navigator as { audioSession?: { type: string } };
		if (phone.audioSession) phone.audioSession.type = 'playback';
		sound(this);
		this.#context.resume();
	}

	/** Takes all of a streamed WAV. */
	async pull(body: ReadableStream<Uint8Array>) {
		// for await over a body is not in every browser.
		const reader = body.getReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return this.end();
			this.push(value);
		}
	}

	push(bytes: Uint8Array) {
		if (this.#closed) return;
		const samples = this.#stream.push(bytes);
		if (samples.length === 0) return;
		const from = this.duration;
		this.duration += samples.length / this.#stream.rate;
		this.#blocks.push({ from, to: this.duration });
		this.#draw(envelope(samples, this.#stream.rate));
		if (this.playing) this.#schedule();
	}

	#draw(levels: Float32Array) {
		const { length } = this.envelope;
		const wanted = length + levels.length;
		if (wanted > this.#levels.length) {
			const more = new Float32Array(2 * wanted);
			more.set(this.envelope);
			this.#levels = more;
		}
		this.#levels.set(levels, length);
		this.envelope = this.#levels.subarray(0, wanted);
	}

	/** No more will come. */
	end() {
		this.complete = true;
		if (this.duration === 0) this.pause();
	}

	play() {
		if (this.complete && this.position >= this.duration - 0.05) this.position = 0;
		this.playing = true;
		sound(this);
		this.#restart();
	}

	pause() {
		this.playing = this.waiting = false;
		this.#silence();
		this.#rest();
	}

	seek(seconds: number) {
		this.position = Math.min(Math.max(0, seconds), this.duration);
		if (this.playing) this.#restart();
	}

	file() {
		return this.complete && this.duration > 0 ? this.#stream.file() : null;
	}

	close() {
		this.#closed = true;
		this.pause();
	}

	#silence() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		for (const source of this.#sources) source.stop();
		this.#sources.clear();
	}

	/** Nobody needs the machine's sound meanwhile. */
	#rest() {
		if (still(this)) this.#context.suspend();
	}

	/** From `position` on. */
	#restart() {
		this.#silence();
		this.#scheduled = this.position;
		this.#origin = this.#context.currentTime + 0.02 - this.position;
		this.#schedule();
	}

	#schedule() {
		this.#context.resume();
		const now = this.#context.currentTime;
		// It ran dry, or begins: what comes now is heard a little later, in one piece.
		if (this.#origin + this.#scheduled < now) this.#origin = now + HEADWAY - this.#scheduled;
		for (const [block, { from, to }] of this.#blocks.entries()) {
			if (to <= this.#scheduled) continue;
			if (this.#origin + this.#scheduled > now + AHEAD) break;
			const samples = this.#stream.samples(block);
			const sound = this.#context.createBuffer(1, samples.length, this.#stream.rate);
			sound.copyToChannel(samples, 0);
			const source = this.#context.createBufferSource();
			source.buffer = sound;
			source.connect(this.#context.destination);
			source.start(this.#origin + this.#scheduled, this.#scheduled - from);
			// Also where nobody looks, and no frame is drawn.
			source.onended = () => {
				const more = this.#scheduled < this.duration;
				if (this.#sources.delete(source) && more && this.playing) this.#schedule();
			};
			this.#sources.add(source);
			this.#scheduled = to;
		}
		this.#frame ||= requestAnimationFrame(this.#follow);
	}

	#follow = () => {
		const at = this.#context.currentTime - this.#origin;
		this.position = Math.min(Math.max(at, this.position), this.duration);
		const heard = at >= this.duration;
		this.waiting = heard && !this.complete;
		if (heard && this.complete) {
			this.playing = false;
			this.#rest();
		}
		this.#frame = this.playing ? requestAnimationFrame(this.#follow) : 0;
	};
}
