/** What was said in the Speak room, newest first: to hear again, to compare, to save. */
import { api, body } from './client.ts';
import { CLIP, delivery, type Emotion } from './delivery.svelte.ts';
import { type Heard, heardIn, likenessIn } from './heard.ts';
import { LiveTrack } from './tracks.svelte.ts';
import { unsaved } from './unsaved.ts';
import { Work } from './work.svelte.ts';

/** They are in memory, with their sound. */
const MOST = 6;
/** Seconds of sound in all, beside the newest: 300 MB. */
const MOST_SECONDS = 2 * 3600;
/** Characters of a text that the API speaks whole, as it does for measuring. */
const MOST_MEASURED = 20_000;

interface Wanted {
	text: string;
	/** By id; empty: the owner's. Of no matter where there is a recording. */
	voice: string;
	/** Somebody to be spoken like, this once; the twin keeps nothing of it. */
	recording: File | null;
	/** Empty: the best that can. */
	engine: string;
	emotion: Emotion;
	speed: number;
	pause: number;
}

export class Clip {
	/** Not null but for a clip of which nothing was heard. */
	track: LiveTrack | null = $state.raw(new LiveTrack());
	heard: Heard | null = $state.raw(null);
	/** How like the owner it is, in a sentence; empty while nobody has measured it. */
	likeness = $state('');
	readonly work = new Work<'speaking' | 'saving' | 'measuring'>();

	constructor(readonly number: number, readonly wanted: Wanted, readonly name: string) {}

	/** Called in the handler of a click: see LiveTrack. */
	speak = () => {
		const track = (this.track ??= new LiveTrack());
		return this.work.run(async (signal) => {
			try {
				const answer = await this.#ask({ stream: true }, signal);
				this.heard = heardIn(answer.response.headers, () => this.name);
				await track.pull(body(answer));
			} finally {
				track.end();
				if (track.duration === 0) this.close();
			}
		}, 'speaking');
	};

	/** The same as an MP3: it is spoken anew, and the same seed gives the same sound. */
	mp3 = (): Promise<Blob | undefined> =>
		this.work.run(async (signal) => {
			const answer = await this.#ask({ stream: true, format: 'mp3' }, signal);
			return await new Response(body(answer), { headers: { 'content-type': 'audio/mpeg' } }).blob();
		}, 'saving');

	/** Whether it can be held against the owner's own recordings. */
	get comparable(): boolean {
		return (this.heard?.own ?? false) && this.wanted.text.length <= MOST_MEASURED;
	}

	/** It is spoken anew for that, and the same seed gives the same sound. */
	measure = () =>
		this.work.run(async (signal) => {
			const answer = await this.#ask({ similarity: true }, signal);
			this.likeness = likenessIn(answer.response.headers);
			await body(answer).cancel();
		}, 'measuring');

	close() {
		this.track?.close();
		this.track = null;
	}

	#ask(form: { stream?: true; format?: 'mp3'; similarity?: true }, signal: AbortSignal) {
		const { recording, voice, ...how } = this.wanted;
		const wanted = { ...how, ...form };
		return api.POST('/speech', {
			body: recording ? wanted : { ...wanted, voice_id: voice },
			bodySerializer: recording ? () => formOf(recording, wanted) : undefined,
			parseAs: 'stream',
			signal,
		});
	}
}

/** A form with a recording, and what is wanted of it. */
function formOf(recording: File, wanted: object): FormData {
	const form = new FormData();
	for (const [name, value] of Object.entries(wanted)) form.set(name, `${value}`);
	// Asked for in the room, before anything is said.
	form.set('consent', 'true');
	form.set('clip', recording);
	return form;
}

class Clips {
	list: Clip[] = $state([]);

	get next(): number {
		return (this.list[0]?.number ?? 0) + 1;
	}

	add(clip: Clip) {
		let seconds = 0;
		for (const [at, old] of [...this.list].entries()) {
			seconds += old.track?.duration ?? 0;
			if (at >= MOST - 1 || seconds > MOST_SECONDS) this.drop(old);
		}
		this.list = [clip, ...this.list];
	}

	drop(clip: Clip) {
		clip.work.stop();
		clip.close();
		this.list = this.list.filter((other) => other !== clip);
	}

	stop() {
		for (const { work } of this.list) if (work.doing === 'speaking') work.stop();
	}
}

export const clips = new Clips();

unsaved(() => clips.list.some(({ work }) => work.busy));

/** Says what stands in the Speak room; `name` is how the owner calls the voice. In a click's handler. */
export function speak(name: string) {
	const { how, engine, text, voice, clip } = delivery;
	const recording = voice === CLIP ? clip : null;
	// A recording has one manner.
	const emotion = recording ? '' : how.emotion;
	const wanted = { ...how, emotion, recording, engine, text: text.trim() };
	const said = new Clip(clips.next, wanted, recording?.name ?? name);
	clips.add(said);
	said.speak();
}
