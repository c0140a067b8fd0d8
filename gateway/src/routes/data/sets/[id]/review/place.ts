/** Where the owner was among a dataset's pairs, kept by this browser: numbers, none of the words. */

type Part = '' | 'train' | 'valid' | 'test';
interface Place {
	view: 'one' | 'list';
	split: Part;
	/** By part. */
	at: Partial<Record<string, number>>;
}

const PARTS: readonly unknown[] = ['', 'train', 'valid', 'test'];
const key = (dataset: string) => `review ${dataset}`;

export function placeIn(dataset: string): Place {
	const place: Place = { view: 'one', split: '', at: {} };
	try {
		const { view, split, at } = JSON.parse(localStorage.getItem(key(dataset)) ?? '{}');
		if (view === 'list') place.view = view;
		if (PARTS.includes(split)) place.split = split;
		for (const part of PARTS as Part[]) {
			const one = at?.[part];
			if (Number.isInteger(one) && one >= 0) place.at[part] = one;
		}
	} catch {
		// Not ours, or a browser that keeps nothing: one begins at the first.
	}
	return place;
}

export function remember(dataset: string, view: Place['view'], split: Part, at: number): void {
	try {
		const place = { view, split, at: { ...placeIn(dataset).at, [split]: at } };
		localStorage.setItem(key(dataset), JSON.stringify(place));
	} catch {
		// A browser that keeps nothing: see above.
	}
}
