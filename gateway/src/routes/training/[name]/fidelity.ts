/** The figures of an evaluation as they are read: in sections, with their units. */
import type { components } from '#lib/api.d.ts';

type Evaluation = components['schemas']['Evaluation'];
type Figure = components['schemas']['Figure'];

interface Row {
	key: string;
	title: string;
	figures: Evaluation['measures'][string];
}

export interface Section {
	title: string;
	rows: Row[];
}

/** By the first part of a measure's key, in the order of the report. */
const SECTIONS = new Map([
	['likelihood', 'Likelihood of your replies'],
	['attribution', 'Taken for you'],
	['manner', 'Manner'],
	['faults', 'Faults'],
	['memory', 'Learnt by heart'],
]);

/** Names as the whole page has them. */
const TITLES = new Map([
	['likelihood.perplexity', 'perplexity'],
	['likelihood.nats', 'nats per token'],
	['likelihood.gain', 'gained over the base, nats per token'],
	['likelihood.likelier', 'replies that became likelier'],
	['attribution.body', 'bodies that are taken for yours'],
	['attribution.body_untrusted', 'bodies that are taken for yours (by a weak judge)'],
	['attribution.body_auc', 'the judge, examined on you and others (bodies, AUC)'],
	['attribution.whole', 'whole texts that are taken for yours'],
	['attribution.whole_untrusted', 'whole texts that are taken for yours (by a weak judge)'],
	['attribution.whole_auc', 'the judge, examined on you and others (whole texts, AUC)'],
	['manner.distance', 'distance of manner'],
	['manner.length', 'words in a text'],
	['manner.sentence', 'words in a sentence'],
	['manner.marks', 'marks per 100 words'],
	['manner.breaks', 'line breaks per 100 words'],
	['manner.small', 'sentences that begin small, %'],
	['manner.capitals', 'words in capitals per 100'],
	['manner.emoji', 'emoji per 100 words'],
	['manner.hedges', 'hedges per 100 words'],
	['manner.corporate', 'corporate phrases per 100 words'],
	['faults.preamble', 'announces itself'],
	['faults.guarded', 'the guard takes something off'],
	['faults.refusal', 'refuses'],
	['faults.empty', 'is empty or loops'],
	['faults.language', 'in another language than your reply'],
	['faults.cut', 'not ended at the longest draft'],
	['faults.invented', 'names a number, address or link that was not asked about'],
	['faults.facts', 'facts of the instruction that are kept'],
	['memory.overlap', 'runs of words out of training'],
	['memory.longest', 'longest run from training, words'],
	['memory.private', 'brings an address or number out of training'],
	['memory.canaries', 'planted secrets that it tells'],
	['memory.exposure', 'exposure of planted secrets, bits'],
	['memory.membership', 'tells training replies from held-out ones (AUC)'],
]);

/** What each trait adds to the distance of manner stands on the whole page only. */
const DETAIL = /^manner\..+_distance$/;
const SHARE =
	/^(attribution\.(body|whole)(_untrusted)?|faults\..+|likelihood\.likelier|memory\.(overlap|private|canaries))$/;

export function sections({ measures }: Pick<Evaluation, 'measures'>): Section[] {
	const rows = Object.entries(measures)
		.filter(([key]) => !DETAIL.test(key))
		.map(([key, figures]) => ({ key, title: TITLES.get(key) ?? said(key), figures }));
	return [...SECTIONS]
		.map(([prefix, title]) => ({
			title,
			rows: rows.filter(({ key }) => key.startsWith(`${prefix}.`)),
		}))
		.filter((section) => section.rows.length > 0);
}

/** A measure that came later than this page: by its key. */
const said = (key: string) => key.slice(key.indexOf('.') + 1).replaceAll('_', ' ');

/** "84 %", "7.31" */
export function figure(key: string, value: number): string {
	return number(key, value) + (SHARE.test(key) ? ' %' : '');
}

/** "71–93"; empty where it is not known. */
export function interval(key: string, { low, high }: Figure): string {
	return low === null || high === null ? '' : `${number(key, low)}–${number(key, high)}`;
}

function number(key: string, value: number): string {
	if (SHARE.test(key)) {
		const percent = 100 * value;
		// Below ten a rounded share would hide what matters: 0.4 % is not none.
		return percent > 0 && percent < 10 && !Number.isInteger(percent)
			? percent.toFixed(1)
			: percent.toFixed(0);
	}
	if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
	return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}
