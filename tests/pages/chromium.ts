// Writes a Chromium that runs without anything installed into the folder TMPDIR (Linux, x86-64):
// `TMPDIR=FOLDER deno run ... chromium.ts`. Only where the machine has no browser of its own.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflate } from 'npm:@sparticuz/chromium@153.0.0';

const packed = join(
	dirname(fileURLToPath(import.meta.resolve('npm:@sparticuz/chromium@153.0.0'))),
	'../bin',
);
// Libraries and fonts first: the program itself says that all is there.
for (const part of ['al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br', 'chromium.br']) {
	await inflate(join(packed, part));
}
