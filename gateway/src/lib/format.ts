/** Numbers, spans and times as the owner reads them. */

const whole = new Intl.NumberFormat('en');

/** "1,204" */
export const number = (value: number): string => whole.format(value);

/** "one voice", "12 takes" */
export function count(value: number, one: string, many = `${one}s`): string {
	return `${value === 1 ? 'one' : number(value)} ${value === 1 ? one : many}`;
}

/** "999 bytes", "96 MB", "6.1 GB", "181 GB": a gigabyte is 10⁹ bytes, as in the budget of 18. */
export function bytes(value: number): string {
	const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
	let unit = 0;
	while (value >= 1000 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** The first letter as a capital. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A sentence of the twin's, which has neither capital nor full stop; nothing stays nothing. */
export const sentence = (text: string): string =>
	text === '' || /[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`;

/** "0:07", "12:30", "1:02:30", for a player and a clock. */
export function clock(seconds: number): string {
	const all = Math.max(0, Math.floor(seconds));
	const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
	const two = (part: number) => `${part}`.padStart(2, '0');
	return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** "7 s", "12 min", "1 h 20 min": about how long. */
export function span(seconds: number): string {
	if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
	const minutes = Math.round(seconds / 60);
	if (minutes < 60) return `${minutes} min`;
	const rest = minutes % 60;
	return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ''}`;
}

/** "83 %" */
export const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** "today, 14:05", "yesterday, 9:30", "12 Nov 2026, 14:05", in the owner's own time. */
export function when(iso: string | Date, now = new Date()): string {
	const at = new Date(iso);
	const time = `${at.getHours()}:${`${at.getMinutes()}`.padStart(2, '0')}`;
	const day = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
	const days = Math.round((day(now).getTime() - day(at).getTime()) / 86_400_000);
	if (days === 0) return `today, ${time}`;
	if (days === 1) return `yesterday, ${time}`;
	const date = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
	return `${date}, ${time}`;
}
