/** What would be lost with the tab: asked before the owner closes it, or loads it anew. */

const holds = new Set<() => boolean>();

/** Holds the tab while `is` says so; gives a function that calls it off. */
export function unsaved(is: () => boolean): () => void {
	holds.add(is);
	return () => holds.delete(is);
}

export const isUnsaved = (): boolean => [...holds].some((is) => is());
