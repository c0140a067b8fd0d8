/**
 * What lies on the desk of the Write room: what came in, what is to be said, and the drafts. Kept
 * while the owner walks through the rooms, in memory alone: it is gone with the tab.
 */
import { api, body, data } from './client.ts';
import { delivery } from './delivery.svelte.ts';
import { type Ending, pieces } from './draft.ts';
import { type Heard, heardIn } from './heard.ts';
import { sayings } from './saying.ts';
import { LiveTrack } from './tracks.svelte.ts';
import { asTrouble } from './trouble.ts';
import { unsaved } from './unsaved.ts';
import { Work } from './work.svelte.ts';

export type Kind = 'reply' | 'rewrite';
export type Register = 'any' | 'mail' | 'chat';
export type Length = 'any' | 'short' | 'medium' | 'long';

/** Characters that the API takes of each text. */
export const LONGEST = 100_000;

/** What a draft is asked for with. */
export interface Task {
	/** What the owner wants to say. */
	wish: string;
	/** Text whose style the draft shall follow. */
	style: string;
	/** The rest, in the words of the API. */
	brief: {
		context: string;
		kind: 'write' | Kind;
		to: string;
		register?: 'mail' | 'chat';
		length?: 'short' | 'medium' | 'long';
	};
}

/** One draft. */
export class Draft {
	/** As they lie on the desk, from 1. */
	number = $state(0);
	text = $state('');
	/** As the twin wrote it; the owner may have gone on from there. */
	written = $state('');
	ending: Ending | null = $state(null);
	/** The pair that it was last kept as. */
	#pair: { id: string; reply: string } | null = $state.raw(null);
	/** It was to be spoken while it is written. */
	#aloud = false;
	track: LiveTrack | null = $state.raw(null);
	heard: Heard | null = $state.raw(null);
	readonly work = new Work<'writing' | 'speaking' | 'keeping'>();

	constructor(
		number: number,
		readonly task: Task,
		/** By the base model, which never saw a word of the owner's. */
		readonly base: boolean,
		readonly seed: number,
	) {
		this.number = number;
	}

	get edited(): boolean {
		return this.written !== '' && this.text.trim() !== this.written;
	}

	/** The pair that it is kept as, as it stands here. */
	get kept(): string | null {
		return this.#pair?.reply === this.text.trim() ? this.#pair.id : null;
	}

	/** It ended in trouble while it was written, and the owner has not gone on by hand. */
	get broken(): boolean {
		return this.work.failed === 'writing' && !this.edited;
	}

	/**
	 * It can be an example of how the owner writes: what the owner made of it, or what the twin wrote
	 * to its end. What the base model wrote is anybody's.
	 */
	get exemplary(): boolean {
		return this.edited || (!this.base && this.ending !== null && !this.ending.cut);
	}

	/** It would be missed if it were gone. */
	get unsaved(): boolean {
		return this.work.doing === 'writing' || (this.edited && this.kept === null);
	}

	get words(): number {
		return this.text.split(/\s+/).filter(Boolean).length;
	}

	get #model() {
		return this.base ? 'base' : 'twin';
	}

	/** Spoken while it is written, if `aloud`: then called in the handler of a click (see LiveTrack). */
	write = (aloud = false) => {
		this.edit();
		this.#aloud = aloud;
		// Another text; the pair stays what it is.
		this.#pair = null;
		const track = aloud ? (this.track = new LiveTrack()) : null;
		return this.work.run(async (signal) => {
			this.text = this.written = '';
			this.ending = null;
			try {
				await (track ? this.#say(track, signal) : this.#write(signal));
			} finally {
				// Also of a draft that was stopped: what is there is the twin's.
				this.text = this.written = this.text.trim();
			}
		}, 'writing');
	};

	/** Once more, as it was asked for. */
	again = () => this.write(this.#aloud);

	async #write(signal: AbortSignal) {
		const { wish, style, brief } = this.task;
		const answer = await api.POST('/v1/chat/completions', {
			body: {
				...brief,
				messages: [{ role: 'user', content: wish }],
				reference: style,
				model: this.#model,
				seed: this.seed,
				stream: true,
			},
			parseAs: 'stream',
			signal,
		});
		const coming = pieces(body(answer));
		for (;;) {
			const { done, value } = await coming.next();
			if (done) return void (this.ending = value);
			this.text += value;
		}
	}

	async #say(track: LiveTrack, signal: AbortSignal) {
		const { wish, style, brief } = this.task;
		try {
			const how = await delivery.settled(signal);
			const answer = await api.POST('/say', {
				body: {
					...brief,
					...how,
					prompt: wish,
					style_reference: style,
					model: this.#model,
					engine: delivery.engine,
					seed: this.seed,
					format: 'wav',
					answer: 'events',
				},
				parseAs: 'stream',
				signal,
			});
			for await (const said of sayings(body(answer))) {
				if (said.kind === 'text') this.text += said.delta;
				if (said.kind === 'audio') track.push(said.bytes);
				if (said.kind === 'voice') this.heard = said.heard;
				if (said.kind === 'done') this.ending = said.ending;
			}
		} finally {
			this.#ended(track);
		}
	}

	/** Called in the handler of a click: see LiveTrack. */
	hear = () => {
		this.silence();
		const track = (this.track = new LiveTrack());
		return this.work.run(async (signal) => {
			try {
				const how = await delivery.settled(signal);
				const answer = await api.POST('/v1/audio/speech', {
					body: {
						...how,
						input: this.text,
						model: delivery.engine || 'twin',
						response_format: 'wav',
					},
					parseAs: 'stream',
					signal,
				});
				this.heard = heardIn(answer.response.headers);
				await track.pull(body(answer));
			} finally {
				this.#ended(track);
			}
		}, 'speaking');
	};

	#ended(track: LiveTrack) {
		track.end();
		if (track.duration === 0 && this.track === track) this.#quiet();
	}

	/** Keeps it as a pair that the next dataset learns from. */
	keep = (): Promise<string | undefined> =>
		// Never broken off: the twin may have kept it before it hears of that.
		this.work.run(async () => {
			const { wish, brief } = this.task;
			const reply = this.text.trim();
			const pair = { ...brief, instruction: wish, reply };
			const { id } = await api.POST('/pairs', { body: pair }).then(data);
			const before = this.#pair;
			this.#pair = { id, reply };
			// One draft is one example: what it was before the owner went on is none any more.
			if (before && before.id !== id) await remove(before.id);
			return id;
		}, 'keeping');

	/** Takes this pair out of the kept ones again, whatever became of the draft since. */
	async forget(id: string) {
		try {
			await remove(id);
			if (this.#pair?.id === id) this.#pair = null;
		} catch (error) {
			this.work.trouble = asTrouble(error);
		}
	}

	/** Another text than the one that was spoken. */
	edit() {
		this.silence();
	}

	/** What the owner waits for: not what is being kept. */
	stop() {
		if (this.work.doing !== 'keeping') this.work.stop();
	}

	silence() {
		if (this.work.doing === 'speaking') this.work.stop();
		this.#quiet();
	}

	#quiet() {
		this.track?.close();
		this.track = this.heard = null;
	}
}

/** Takes a pair out of the kept ones; one that is gone already is none. */
async function remove(id: string) {
	try {
		await api.DELETE('/pairs/{pair_id}', { params: { path: { pair_id: id } } });
	} catch (error) {
		if (asTrouble(error).status !== 404) throw error;
	}
}

class Desk {
	context = $state('');
	wish = $state('');
	kind: Kind = $state('reply');
	register: Register = $state('any');
	length: Length = $state('any');
	to = $state('');
	/** Text whose style the draft shall follow, this once. */
	style = $state('');
	/** Drafts are spoken while they are written. */
	aloud = $state(false);
	drafts: Draft[] = $state([]);
	/** Seeds that were given since the first draft, by who writes: a draft that is gone had one, too. */
	#seeds = { twin: 0, base: 0 };

	/** To answer, or to say anew, what came in is enough. */
	get ready(): boolean {
		const { wish, context, style } = this;
		const fits = [wish, context, style].every((text) => text.length <= LONGEST);
		return fits && (wish.trim() !== '' || context.trim() !== '');
	}

	get task(): Task {
		const { context, wish, kind, register, length, to, style } = this;
		const about = context.trim() !== '';
		return {
			wish: wish.trim(),
			style: style.trim(),
			brief: {
				context: about ? context : '',
				kind: about ? kind : 'write',
				to: to.trim(),
				register: register === 'any' ? undefined : register,
				length: length === 'any' ? undefined : length,
			},
		};
	}

	/** A first draft in the place of those that lie there, which it gives back. */
	begin(): Draft[] {
		const before = this.drafts;
		for (const draft of before) this.#put(draft);
		this.drafts = [];
		this.#seeds = { twin: 0, base: 0 };
		this.add();
		return before;
	}

	/** One more, beside the others. */
	add(base = false) {
		const number = Math.max(0, ...this.drafts.map((draft) => draft.number)) + 1;
		// The same seed gives the same draft.
		const alike = this.drafts.filter((draft) => draft.base === base);
		const who = base ? 'base' : 'twin';
		const seed = Math.max(this.#seeds[who], ...alike.map((draft) => draft.seed + 1));
		this.#seeds[who] = seed + 1;
		const draft = new Draft(number, this.task, base, seed);
		this.drafts = [...this.drafts, draft];
		draft.write(this.aloud && !base);
	}

	/** Those that a new one had taken the place of, before it. */
	restore(before: readonly Draft[]) {
		this.drafts = [...before, ...this.drafts];
		this.drafts.forEach((draft, at) => (draft.number = at + 1));
	}

	drop(draft: Draft) {
		this.#put(draft);
		this.drafts = this.drafts.filter((other) => other !== draft);
	}

	stop() {
		for (const draft of this.drafts) draft.stop();
	}

	#put(draft: Draft) {
		draft.stop();
		draft.silence();
	}
}

export const desk = new Desk();

unsaved(() => desk.drafts.some((draft) => draft.unsaved));
