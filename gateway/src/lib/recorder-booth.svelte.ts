/**
 * The booth: one who reads, sentence by sentence. Leads from the room's silence to a take that is
 * kept, and sends takes one after another while the next is read. Knows neither page nor routes:
 * the microphone, the sentences and the sending are handed in.
 */
import {
	believable,
	Meter,
	Peak,
	type Room,
	room,
	roomAdvice,
	SILENCE,
	voiceAdvice,
	words,
} from './meter.ts';
import type { Listener } from './recorder.ts';
import { asTrouble, Trouble } from './trouble.ts';

/** A sentence to read aloud. */
export interface Line {
	id: string;
	text: string;
	/** '' for what is read as one speaks. */
	emotion: string;
}

/** What lowers a grade, and what to do about it. */
export interface Reason {
	found: string;
	advice: string;
}

/** What the twin says of a take that it keeps. */
export interface Verdict {
	/** '' for a recording that has no id of its own. */
	id: string;
	/** A to D; null: nobody was there to judge. */
	grade: string | null;
	reasons: Reason[];
	/** Of sound. */
	seconds: number;
}

/** A take that was read in this sitting. */
export interface Take {
	key: number;
	line: Line;
	/** null once it is kept: an hour of takes is too much for a page to hold. */
	sound: Blob | null;
	seconds: number;
	/** As the meter found it. */
	advice: string[];
	state: 'waiting' | 'sending' | 'kept' | 'failed';
	verdict: Verdict | null;
	trouble: Trouble | null;
	/** The one that this one takes the place of, once it is safe. */
	replaces: Take | null;
}

/** A take as it was read, before its reader says what becomes of it. */
interface Draft {
	sound: Blob;
	/** Whether anything was heard; a whisper may not have been. */
	heard: boolean;
	seconds: number;
	advice: string[];
}

/** What the booth asks of a microphone. */
export interface Ear {
	readonly name: string;
	readonly id: string;
	readonly rate: number;
	listen(listener: Listener): () => void;
	record(): { stop(): Promise<Blob> };
	close(): void;
}

export interface Desk {
	open(onlost: () => void, id: string): Promise<Ear>;
	/** The next sentences, but for those of `skip`; none: all is read. */
	lines(skip: string[]): Promise<Line[]>;
	/**
	 * Ends once the take is safe, or in Trouble. It takes the place of the one of the id `replaces`,
	 * which goes only then; '' for none.
	 */
	send(sound: Blob, line: Line, replaces: string): Promise<Verdict>;
}

export type Phase = 'closed' | 'opening' | 'room' | 'ready' | 'recording' | 'saving' | 'review';

/** Seconds of silence in which the room is heard. */
export const SILENT_FOR = 2;
/** Sentences that are left when more are fetched. */
const FEW = 3;
/** Seconds of sound; a key that was struck twice. */
const TOO_SHORT = 0.5;
/** dBFS of a room that nobody has heard yet. */
const USUAL_ROOM = -60;

export class Booth {
	phase: Phase = $state('closed');
	/** To be read now; null: none is there, or not yet. */
	line: Line | null = $state.raw(null);
	/** Whether all is read. */
	finished = $state(false);
	draft: Draft | null = $state.raw(null);
	/** The latest first. */
	takes: Take[] = $state([]);
	trouble: Trouble | null = $state.raw(null);
	/** Of the room, or of nothing being heard. */
	advice: string[] = $state.raw([]);
	ear: Ear | null = $state.raw(null);
	/** Go on by itself: what is heard well is kept, and the next sentence begins. */
	flowing = $state(false);
	level = $state(SILENCE);
	top = $state(SILENCE);
	/** The loudest of late, dBFS. */
	held = $state(SILENCE);
	/** Seconds of the take under way, or of the room's silence. */
	seconds = $state(0);
	clipped = $state(false);
	noise = $state(USUAL_ROOM);
	/** Whether the room may not be as it was heard: it is to be heard again, or taken as it is. */
	doubtful = $state(false);
	/** The take whose sentence is read again. */
	again: Take | null = $state.raw(null);

	#desk: Desk;
	#lines: Line[] = [];
	#skipped = new Set<string>();
	#filling: Promise<void> | null = null;
	/** Which choice of sentences is read. */
	#round = 0;
	#recording: { stop(): Promise<Blob> } | null = null;
	#meter: Meter | null = null;
	#peak = new Peak();
	#deaf: () => void = () => {};
	#sending = Promise.resolve();
	#key = 0;
	#closed = false;

	constructor(desk: Desk) {
		this.#desk = desk;
	}

	/** Other sentences are to be read from now on: another emotion. Takes stay. */
	async change(): Promise<void> {
		if (this.phase === 'recording') await this.discard();
		this.draft = null;
		this.trouble = null;
		this.#lines = [];
		this.#round++;
		this.#filling = null;
		this.line = null;
		if (this.ear) await this.#on();
	}

	/** Takes that are not safe yet: whoever leaves now loses them. */
	get unsafe(): number {
		return this.takes.filter(({ state }) => state !== 'kept').length +
			(this.draft === null && this.phase !== 'recording' ? 0 : 1);
	}

	/** Opens the microphone, hears the room, and has something to read. */
	async open(id = ''): Promise<void> {
		this.#shut();
		this.phase = 'opening';
		this.trouble = null;
		try {
			const [ear] = await Promise.all([
				this.#desk.open(() => this.#lost(), id),
				this.line ? Promise.resolve() : this.#turn(),
			]);
			// Somebody left while the browser asked.
			if (this.#closed) return ear.close();
			this.ear = ear;
			this.hearRoom();
		} catch (error) {
			this.phase = 'closed';
			this.trouble = asTrouble(error);
		}
	}

	/** Two seconds of silence tell the room's noise. */
	hearRoom(): void {
		if (!this.ear) return;
		this.phase = 'room';
		this.advice = [];
		this.doubtful = false;
		const meter = new Meter(this.ear.rate);
		const levels: number[] = [];
		this.#listen((block) => {
			meter.hear(block);
			this.#show(meter, block);
			levels.push(meter.level);
			if (meter.seconds >= SILENT_FOR) this.#rest(room(levels));
		});
	}

	/** Space, and the one big button: whatever comes next. */
	next(): void {
		if (this.phase === 'ready' && this.doubtful) this.hearRoom();
		else if (this.phase === 'ready' && this.line) this.start();
		else if (this.phase === 'recording') this.stop();
		else if (this.phase === 'review' && this.draft?.heard) this.keep();
		else if (this.phase === 'review') this.retake();
	}

	start(): void {
		if (!this.ear || !this.line || this.phase === 'recording') return;
		this.draft = null;
		this.trouble = null;
		this.advice = [];
		this.clipped = false;
		this.#recording = this.ear.record();
		this.phase = 'recording';
		const meter = this.#meter = new Meter(this.ear.rate, this.noise, isWhispered(this.line));
		const count = words(this.line.text);
		this.#listen((block) => {
			meter.hear(block);
			this.#show(meter, block);
			this.clipped = meter.clipped > 0;
			if (meter.finished(count)) this.stop();
		});
	}

	/** The sentence is read: hear it, keep it, or read it again. */
	async stop(): Promise<void> {
		if (this.phase !== 'recording') return;
		// Before anything waits: a second call finds it over.
		this.phase = 'saving';
		const levels = this.#meter!.levels();
		const seconds = this.#meter!.seconds;
		const sound = await this.#end();
		if (this.#closed) return;
		const advice = voiceAdvice(levels, this.noise, isWhispered(this.line));
		// What the meter takes for the room's noise may be a whisper: it is not for us to drop.
		if (levels.silent || sound.size === 0 || seconds < TOO_SHORT) {
			this.advice = advice;
			this.#wait();
			return;
		}
		this.draft = { sound, heard: levels.said > 0, seconds, advice };
		this.phase = 'review';
		if (this.flowing && advice.length === 0 && this.ear) {
			await this.keep();
			this.start();
		}
	}

	/** Throws the take under way, or the one just read, away. */
	async discard(): Promise<void> {
		this.draft = null;
		if (this.phase === 'recording') {
			this.phase = 'saving';
			await this.#end();
		}
		this.#wait();
	}

	/** Reads it at once again. */
	async retake(): Promise<void> {
		await this.discard();
		this.start();
	}

	/** Keeps what was read; it is sent while its reader goes on. */
	async keep(): Promise<void> {
		const { draft, line } = this;
		if (!draft || !line || this.phase !== 'review') return;
		this.draft = null;
		this.takes.unshift({
			key: this.#key++,
			line,
			sound: draft.sound,
			seconds: draft.seconds,
			advice: draft.advice,
			state: 'waiting',
			verdict: null,
			trouble: null,
			replaces: this.again,
		});
		// As the list has it: what changes in it is seen.
		this.send(this.takes[0]!);
		await this.#on();
	}

	/** Leaves the sentence for another day. */
	async skip(): Promise<void> {
		if (this.phase !== 'ready' && this.phase !== 'review') return;
		this.draft = null;
		if (this.line) this.#skipped.add(this.line.id);
		await this.#on();
	}

	/** Back to a sentence that was read: the new take replaces that one. */
	readAgain(take: Take): void {
		if (this.phase !== 'ready' && this.phase !== 'review') return;
		this.draft = null;
		if (this.line && this.again === null) this.#lines.unshift(this.line);
		this.again = take;
		this.line = take.line;
		this.finished = false;
		this.#wait();
	}

	/** One at a time: the twin grades one at a time, and a slow line sends none faster so. */
	send(take: Take): void {
		take.state = 'waiting';
		take.trouble = null;
		this.#sending = this.#sending.then(async () => {
			if (take.sound === null) return;
			take.state = 'sending';
			try {
				const { sound, line, replaces } = take;
				take.verdict = await this.#desk.send(sound, line, replaces?.verdict?.id ?? '');
				take.state = 'kept';
				take.sound = null;
				if (replaces) this.drop(replaces);
			} catch (error) {
				take.trouble = asTrouble(error);
				take.state = 'failed';
			}
		});
	}

	/** Ends when all that was kept so far is sent, or has failed. */
	async sent(): Promise<void> {
		await this.#sending;
	}

	/** Gives a take that could not be sent up. */
	drop(take: Take): void {
		this.takes = this.takes.filter((other) => other.key !== take.key);
	}

	/** Leaves the booth; what is being sent is sent. */
	close(): void {
		this.#closed = true;
		this.#shut();
		this.phase = 'closed';
	}

	/** On to the next sentence, and ready for it. */
	async #on(): Promise<void> {
		this.phase = 'saving';
		try {
			await this.#turn();
		} catch (error) {
			this.line = null;
			this.trouble = asTrouble(error);
		}
		this.#wait();
	}

	#wait(): void {
		this.phase = this.ear ? 'ready' : 'closed';
		this.#idle();
	}

	/** Takes the next sentence; Trouble when none can be had. */
	async #turn(): Promise<void> {
		this.again = null;
		if (this.#lines.length === 0) await this.#fill();
		if (this.#lines.length === 0) {
			// Only when the last takes have arrived does the twin know what comes after them.
			await this.#sending;
			await this.#fill();
		}
		this.line = this.#lines.shift() ?? null;
		this.finished = this.line === null;
		if (!this.line) return;
		// Nobody waits for these: when they cannot be had, it shows once the last one is read.
		if (this.#lines.length < FEW) this.#fill().catch(() => {});
	}

	/** Has more sentences. */
	#fill(): Promise<void> {
		if (this.#filling) return this.#filling;
		const filling = this.#ask().finally(() => {
			if (this.#filling === filling) this.#filling = null;
		});
		return (this.#filling = filling);
	}

	async #ask(): Promise<void> {
		const round = this.#round;
		const skip = this.#open();
		const more = await this.#desk.lines(skip);
		// Of another emotion by now.
		if (round !== this.#round) return;
		// What was open when the twin was asked may be kept by now, and what is open now may be new.
		const not = new Set([...skip, ...this.#open()]);
		this.#lines.push(...more.filter(({ id }) => !not.has(id)));
	}

	/**
	 * Sentences that are not to be offered: skipped, there to be read, or read and not yet sent. One that
	 * is kept may come again: whoever reads quickly reads all of them twice.
	 */
	#open(): string[] {
		const unsent = this.takes.filter(({ state }) => state !== 'kept').map(({ line }) => line);
		const there = [...this.#lines, ...unsent, ...(this.line ? [this.line] : [])];
		return [...this.#skipped, ...there.map(({ id }) => id)];
	}

	#rest(heard: Room): void {
		this.noise = heard.noise === SILENCE ? USUAL_ROOM : heard.noise;
		this.advice = roomAdvice(heard);
		this.doubtful = !believable(heard);
		// What was read before it was heard again still waits for its reader.
		if (this.draft) this.phase = 'review';
		else this.#wait();
	}

	/** Takes the room as it was heard: it may be loud. */
	trust(): void {
		this.doubtful = false;
	}

	/** Closes the microphone for a while: nobody is there to see that it hears. What was read stays. */
	async rest(): Promise<void> {
		const { ear } = this;
		if (!ear) return;
		this.ear = null;
		this.#deaf();
		if (this.phase === 'recording') await this.stop();
		else if (this.phase !== 'review') this.phase = this.draft ? 'review' : 'closed';
		ear.close();
	}

	/** The meter moves between takes, too: one sees that the microphone hears. */
	#idle(): void {
		if (!this.ear) return;
		const { rate } = this.ear;
		this.#listen((block) => {
			const meter = new Meter(rate);
			meter.hear(block);
			this.#show(meter, block);
			this.seconds = 0;
		});
		this.seconds = 0;
	}

	#show(meter: Meter, block: Float32Array): void {
		this.#peak.hear(meter.top, block.length / (this.ear?.rate ?? Infinity));
		this.level = meter.level;
		this.top = meter.top;
		this.held = this.#peak.level;
		this.seconds = meter.seconds;
	}

	#listen(listener: Listener): void {
		this.#deaf();
		this.#deaf = this.ear?.listen(listener) ?? (() => {});
	}

	async #end(): Promise<Blob> {
		this.#deaf();
		const recording = this.#recording!;
		this.#recording = null;
		return await recording.stop();
	}

	/** The microphone was pulled out: what was said so far stays. */
	async #lost(): Promise<void> {
		if (this.#closed) return;
		this.ear = null;
		this.trouble = new Trouble(
			'The microphone is gone',
			'Connect it again, then open it. What you have read so far is still here.',
		);
		if (this.phase === 'recording') await this.stop();
		else if (this.phase !== 'review') this.phase = 'closed';
	}

	#shut(): void {
		this.#deaf();
		this.#recording?.stop().catch(() => {});
		this.#recording = null;
		this.ear?.close();
		this.ear = null;
		this.#peak = new Peak();
		this.level = this.top = this.held = SILENCE;
	}
}

/** It is to be heard over the room's noise, not far above it. */
function isWhispered(line: Line | null): boolean {
	return line?.emotion === 'whispered';
}
