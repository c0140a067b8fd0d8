/** "2024-05" as it is read: "May 2024"; whatever is no month stays as it is (a long timeline counts by year). */
export function month(label: string): string {
	if (!/^\d{4}-\d{2}$/.test(label)) return label;
	return new Date(`${label}-15`).toLocaleDateString('en-GB', { month: 'short', year: 'numeric' });
}
