/** Mail and chats that are brought in: each file is a job of its own once it is here. */
import { upload } from '#lib/client.ts';
import { isOver, type Job } from '#lib/jobs.ts';
import { Sending } from '#lib/sending.svelte.ts';

export type Dates = '' | 'dmy' | 'mdy' | 'ymd';

export const imports = new Sending<Dates, Job>((file, dates, way) => {
	const query = new URLSearchParams({ name: file.name, ...(dates && { dates }) });
	// As bytes, whatever the browser takes it for.
	const raw = new Blob([file], { type: 'application/octet-stream' });
	return upload<Job>(`/corpus/uploads?${query}`, raw, way);
});

/** The job that is to be watched: the first that came and is not over, as far as is known here. */
export const under = (): Job | undefined =>
	imports.list.findLast(({ kept }) => kept && !isOver(kept.state))?.kept ?? undefined;

/** What came of a job is told beside its file. */
export function ended(job: Job): void {
	for (const one of imports.list) if (one.kept?.id === job.id) one.kept = job;
}
