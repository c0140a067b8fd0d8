/** Asks the owner before something is done that cannot be undone. */

export interface Question {
	title: string;
	text: string;
	/** What the button says that does it: "Delete the voice". */
	action: string;
	danger?: boolean;
}

class Asking {
	question: Question | null = $state(null);
	#settle: (yes: boolean) => void = () => {};

	ask(question: Question): Promise<boolean> {
		this.#settle(false);
		this.question = question;
		return new Promise((resolve) => (this.#settle = resolve));
	}

	answer(yes: boolean) {
		this.question = null;
		this.#settle(yes);
	}
}

export const asking = new Asking();

/** True when the owner says yes. */
export const ask = (question: Question): Promise<boolean> => asking.ask(question);
