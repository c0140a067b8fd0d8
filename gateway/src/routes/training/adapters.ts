/** What is said of adapters: figures that may not be known, and verdicts in two words. */
import type { components } from '#lib/api.d.ts';

type Verdict = components['schemas']['AdapterSummary']['verdict'];

export const VERDICTS: Record<Verdict, { words: string; tone: 'good' | 'warn' | 'bad' | 'plain' }> =
	{
		passed: { words: 'passed', tone: 'good' },
		failed: { words: 'failed', tone: 'bad' },
		unsettled: { words: 'too few prompts', tone: 'warn' },
		none: { words: 'not yet', tone: 'plain' },
	};

/** A figure as it is read; a dash where an adapter does not tell. */
export function told(value: number | null, say: (value: number) => string): string {
	return value === null ? '–' : say(value);
}

export const digits = (count: number) => (value: number): string => value.toFixed(count);
