/**
 * The microphone in the browser: opened without the processing that would spoil a voice, metered
 * block by block, recorded take by take. Knows no page, and uploads nothing.
 */
import { Trouble } from './trouble.ts';

/**
 * What a take may be recorded as, the best first: what loses nothing before what does. Chromium and
 * Safari write PCM, Safari ALAC, Firefox Opus.
 */
const KINDS = [
	'audio/webm;codecs=pcm',
	'audio/mp4;codecs=alac',
	'audio/webm;codecs=opus',
	'audio/ogg;codecs=opus',
	'audio/mp4',
];
/** Bits per second of a kind that loses some: twice what Opus needs to be taken for the original. */
const BITS = 256_000;
/** Milliseconds between two looks at the meter. */
const TICK = 50;
/** Samples that the meter keeps: 0.17 s at 48 kHz, so that a late tick misses nothing. */
const WINDOW = 8192;

/** Hears blocks of sound, as they come. */
export type Listener = (block: Float32Array) => void;

/** The first kind that this browser can record; '' leaves it to the browser. */
export function kindOf(isSupported: (kind: string) => boolean): string {
	return KINDS.find(isSupported) ?? '';
}

/** A name for a recording: the twin goes by the content, people by the ending. */
export function fileName(kind: string): string {
	const ending = /mp4/.test(kind) ? 'm4a' : /ogg/.test(kind) ? 'ogg' : 'webm';
	return `take.${ending}`;
}

/** What to tell of a microphone that did not open. */
export function refusal(error: unknown): Trouble {
	switch (error instanceof Error ? error.name : '') {
		case 'NotAllowedError':
			return new Trouble(
				'The browser may not use the microphone',
				'Allow it for this page: the icon beside its address. On a Mac also in System Settings, ' +
					'Privacy & Security, Microphone.',
			);
		case 'NotFoundError':
		case 'OverconstrainedError':
			return new Trouble(
				'There is no microphone',
				'Connect one, or switch it on in the sound settings, then try again.',
			);
		case 'NotReadableError':
		case 'AbortError':
			return new Trouble(
				'The microphone does not answer',
				'Another program may hold it. Close that, or pull the cable and put it back, then try ' +
					'again.',
			);
		default:
			return new Trouble('The microphone did not open', 'Reload the page, then try again.');
	}
}

/** An open microphone. Close it: as long as it is open, the browser shows that it listens. */
export class Microphone {
	/** Its name, as the machine has it. */
	readonly name: string;
	readonly id: string;
	/** Hertz at which it is metered. */
	readonly rate: number;

	#stream: MediaStream;
	#context: AudioContext;
	#analyser: AnalyserNode;
	#timer: ReturnType<typeof setInterval>;
	#heard: number;
	#listeners = new Set<Listener>();

	private constructor(stream: MediaStream, context: AudioContext, onlost: () => void) {
		const track = stream.getAudioTracks()[0]!;
		this.name = track.label || 'Microphone';
		this.id = track.getSettings().deviceId ?? '';
		this.rate = context.sampleRate;
		this.#stream = stream;
		this.#context = context;
		this.#analyser = new AnalyserNode(context, { fftSize: WINDOW });
		context.createMediaStreamSource(stream).connect(this.#analyser);
		this.#heard = context.currentTime;
		this.#timer = setInterval(() => this.#tick(), TICK);
		track.addEventListener('ended', onlost);
	}

	/** Opens it; ends in Trouble that says what to do. `onlost`: it was pulled out, or taken away. */
	static async open(onlost: () => void, id = ''): Promise<Microphone> {
		if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === 'undefined') {
			throw new Trouble(
				'This browser cannot record here',
				'Open the page on this machine or over https; or record with `twin voice record`, or ' +
					'upload files.',
			);
		}
		const context = new AudioContext();
		try {
			const stream = await navigator.mediaDevices.getUserMedia({
				audio: {
					// They are made for calls, and take away what a voice is told by.
					echoCancellation: false,
					noiseSuppression: false,
					autoGainControl: false,
					channelCount: 1,
					sampleRate: { ideal: 48_000 },
					...(id ? { deviceId: { exact: id } } : {}),
				},
			});
			await context.resume();
			return new Microphone(stream, context, onlost);
		} catch (error) {
			await context.close();
			throw refusal(error);
		}
	}

	/** All there are, with their names: a browser tells them only once one is open. */
	static async all(): Promise<{ id: string; name: string }[]> {
		const devices = await navigator.mediaDevices.enumerateDevices();
		return devices
			.filter((device) => device.kind === 'audioinput' && device.deviceId !== '')
			.map((device, at) => ({
				id: device.deviceId,
				name: device.label || `Microphone ${at + 1}`,
			}));
	}

	/** Calls `listener` with all that is heard from now on; the answer stops it. */
	listen(listener: Listener): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	/** Begins a take. */
	record(): Recording {
		return new Recording(this.#stream);
	}

	close(): void {
		clearInterval(this.#timer);
		this.#listeners.clear();
		for (const track of this.#stream.getTracks()) track.stop();
		// Closing twice is an error, and no harm.
		this.#context.close().catch(() => {});
	}

	#tick(): void {
		const now = this.#context.currentTime;
		const fresh = Math.min(WINDOW, Math.round((now - this.#heard) * this.rate));
		this.#heard = now;
		if (fresh <= 0) return;
		const window = new Float32Array(WINDOW);
		this.#analyser.getFloatTimeDomainData(window);
		const block = window.subarray(WINDOW - fresh);
		for (const listener of this.#listeners) listener(block);
	}
}

/** A take under way. */
export class Recording {
	#recorder: MediaRecorder;
	#parts: Blob[] = [];
	#done: Promise<Blob>;

	constructor(stream: MediaStream) {
		const mimeType = kindOf((kind) => MediaRecorder.isTypeSupported(kind));
		this.#recorder = new MediaRecorder(stream, {
			...(mimeType ? { mimeType } : {}),
			audioBitsPerSecond: BITS,
		});
		this.#recorder.ondataavailable = ({ data }) => this.#parts.push(data);
		this.#done = new Promise((resolve) => {
			this.#recorder.onstop = () => {
				resolve(new Blob(this.#parts, { type: this.#recorder.mimeType }));
			};
		});
		// In parts: what was said is ours also when the microphone is pulled out.
		this.#recorder.start(500);
	}

	/** Ends it, if it has not ended by itself. */
	async stop(): Promise<Blob> {
		if (this.#recorder.state !== 'inactive') this.#recorder.stop();
		return await this.#done;
	}
}
