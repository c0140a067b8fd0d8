/** Short notes that come and go: what was just done. What went wrong stays where it happened. */

export interface Toast {
	id: number;
	text: string;
	/** A way back, such as Undo. */
	action?: { label: string; run: () => void };
}

/** Long enough to be read and reached, with a way back in it. */
const SECONDS = { plain: 4, action: 9 };

class Toasts {
	list: Toast[] = $state([]);
	#next = 0;
	#timers = new Map<number, ReturnType<typeof setTimeout>>();
	#held = false;

	say(text: string, action?: Toast['action']) {
		const id = this.#next++;
		// Three at most: a page that talks more than that is not calm.
		this.list = [...this.list, { id, text, action }].slice(-3);
		if (!this.#held) this.#wait(this.list.at(-1)!);
	}

	/** Somebody reads them, or is about to press a button: they stay. */
	hold() {
		this.#held = true;
		for (const timer of this.#timers.values()) clearTimeout(timer);
	}

	/** Each has its whole time again. */
	release() {
		if (!this.#held) return;
		this.#held = false;
		for (const toast of this.list) this.#wait(toast);
	}

	#wait({ id, action }: Toast) {
		const after = 1000 * (action ? SECONDS.action : SECONDS.plain);
		this.#timers.set(id, setTimeout(() => this.drop(id), after));
	}

	drop(id: number) {
		clearTimeout(this.#timers.get(id));
		this.#timers.delete(id);
		this.list = this.list.filter((toast) => toast.id !== id);
		// What was pointed at is gone, and says no more that it was left.
		if (this.list.length === 0) this.#held = false;
	}
}

const toasts = new Toasts();
export default toasts;
