/** Something to tell the owner: what happened, and what to do now. */
export class Trouble extends Error {
	constructor(readonly title: string, readonly detail: string, readonly status = 0) {
		super(title);
	}
}

interface Problem {
	title: string;
	detail: string;
	errors?: { pointer: string; detail: string }[];
}

/** Makes the Trouble of a failed answer: its problem document, if it is one. */
export async function fromResponse(response: Response): Promise<Trouble> {
	const { status } = response;
	if (response.headers.get('content-type') === 'application/problem+json') {
		const { title, detail, errors = [] } = await response.json() as Problem;
		const faults = errors.map((fault) => `${fault.pointer.slice(1)} ${fault.detail}`.trim());
		return new Trouble(title, faults.length > 0 ? `${faults.join('; ')}.` : detail, status);
	}
	return new Trouble('The twin failed', `The gateway answered ${status}. Try again.`, status);
}
