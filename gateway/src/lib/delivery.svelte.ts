/** In which voice the twin speaks, and how: chosen in the Speak room, for drafts as well. */
import type { components } from './api.d.ts';
import { api, data } from './client.ts';

/** One of the nine that a voice may have been recorded in; empty: as it usually speaks. */
export type Emotion = NonNullable<components['schemas']['SpeechRequest']['emotion']>;

/** In the place of a voice: whoever is heard in a recording, this once. No id is like it. */
export const CLIP = '*clip';

type Voices = components['schemas']['VoiceList'];

/** The voice of nobody, which is always there. */
export const BUNDLED = 'base';

class Delivery {
	/** Who can speak; null: not asked yet. */
	voices: Voices['data'] | null = $state.raw(null);
	/** By id, or CLIP; empty: nobody was chosen. */
	#chosen = $state('');
	emotion: Emotion = $state('');
	/** Empty: the best that can speak in the voice. */
	engine = $state('');
	speed = $state(1);
	/** A factor on the rests between sentences. */
	pause = $state(1);
	/** For CLIP: the recording. */
	clip: File | null = $state.raw(null);
	/** Whoever is heard in it has agreed. */
	agreed = $state(false);
	/** What was last to be said in the Speak room; in memory alone. */
	text = $state('');

	/** The owner's own. */
	get own(): Voices['data'] {
		return this.voices?.filter(({ id }) => id !== BUNDLED) ?? [];
	}

	/** Where nobody was chosen: the owner's first. Empty while nobody knows which that is. */
	get #first(): string {
		return this.voices ? this.own[0]?.id ?? BUNDLED : '';
	}

	/** By id, or CLIP: who was chosen and is still there, or else the owner's first voice. */
	get voice(): string {
		const there = this.#chosen === CLIP || !this.voices ||
			this.voices.some(({ id }) => id === this.#chosen);
		return there && this.#chosen ? this.#chosen : this.#first;
	}

	set voice(id: string) {
		this.#chosen = id;
	}

	/** Asks who can speak; the twin itself chooses no one of several. */
	async load(signal?: AbortSignal): Promise<Voices> {
		const voices = await api.GET('/v1/audio/voices', { signal }).then(data);
		this.voices = voices.data;
		return voices;
	}

	/** As the API has it, but for the engine, which is not called the same everywhere. */
	get how() {
		const { speed, pause } = this;
		const voice = this.voice === CLIP ? this.#first : this.voice;
		// What a voice was never recorded in, it cannot speak in.
		const emotions = this.voices?.find(({ id }) => id === voice)?.emotions;
		const emotion = emotions?.includes(this.emotion) === false ? '' : this.emotion;
		return { voice, emotion, speed, pause };
	}

	/** The same, once it is known who can speak now. */
	async settled(signal: AbortSignal) {
		await this.load(signal);
		return this.how;
	}
}

export const delivery = new Delivery();
