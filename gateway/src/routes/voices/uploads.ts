/** Recordings that are brought along, on their way to their voice. */
import { upload } from '#lib/client.ts';
import { bytes } from '#lib/format.ts';
import { Sending } from '#lib/sending.svelte.ts';
import { Trouble } from '#lib/trouble.ts';
import type { Uploaded } from './voice.ts';

const MOST = 200 * 1024 ** 2; // bytes, as the twin takes it

export const uploads = new Sending<{ voice: string; emotion: string }, Uploaded>(
	async (file, { voice, emotion }, way) => {
		if (file.size > MOST) {
			throw new Trouble(
				'It is too large',
				`${bytes(file.size)}; at most ${bytes(MOST)}. Cut it, or use \`twin voice add\`.`,
			);
		}
		const form = new FormData();
		form.set('voice_id', voice);
		form.set('emotion', emotion);
		form.set('audio', file, file.name);
		return await upload<Uploaded>('/voices/uploads', form, way);
	},
);

export const of = (voice: string) => uploads.list.filter(({ wish }) => wish.voice === voice);
