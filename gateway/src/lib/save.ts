/** Saves a file that is here, or at an address of this site, among the owner's downloads. */
export function save(file: Blob | string, name: string) {
	const link = document.createElement('a');
	link.href = typeof file === 'string' ? file : URL.createObjectURL(file);
	link.download = name;
	link.click();
	// Long enough for the browser to have begun.
	if (typeof file !== 'string') setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
