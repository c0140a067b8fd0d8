/** A text area as tall as its text, where a browser does not do that by itself (`field-sizing`). */
export const grow = (text: () => string) => (area: HTMLTextAreaElement) => {
	if (CSS.supports('field-sizing', 'content')) return;
	$effect(() => {
		text();
		area.style.height = 'auto';
		area.style.height = `${area.scrollHeight + 2}px`;
	});
};
