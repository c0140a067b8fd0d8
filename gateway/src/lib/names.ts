/** Names of what the owner makes. */

/** `wanted`, or the first of it with a number that nothing has yet: nothing is replaced by a slip. */
export function free(wanted: string, taken: readonly string[]): string {
	let name = wanted;
	for (let number = 2; taken.includes(name); number++) name = `${wanted}-${number}`;
	return name;
}
