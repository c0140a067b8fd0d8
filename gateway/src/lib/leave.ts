/** What is not safe yet is not lost by a slip: whoever leaves the room is asked first. */
import { beforeNavigate, goto } from '$app/navigation';
import { ask } from './ask.svelte.ts';
import { session } from './session.svelte.ts';

/** Called while a component is set up. `lost`: what would be lost, in a sentence; empty: nothing. */
export function guardLeaving(lost: () => string): void {
	let left: string | null = null;
	beforeNavigate((navigation) => {
		const text = lost();
		// Whoever signs out goes, with all that is here.
		if (!text || session.closed || navigation.to?.url.href === left) return;
		if (navigation.to?.url.pathname === navigation.from?.url.pathname) return;
		navigation.cancel();
		if (navigation.willUnload || !navigation.to) return;
		const { href } = navigation.to.url;
		void ask({ title: 'Leave now?', text, action: 'Leave', danger: true }).then((yes) => {
			if (!yes) return;
			left = href;
			return goto(href);
		});
	});
}
