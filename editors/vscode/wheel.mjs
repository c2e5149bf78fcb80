// Builds the server's wheel into server/, with its digest, so that `npm run package` puts it into the extension.
// PYTHON names the interpreter (default: the repository's .venv, which has the build backend).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '../..');
const folder = join(import.meta.dirname, 'server');
const python = process.env.PYTHON ?? join(repository, '.venv', 'bin', 'python');
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8'));

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const build = ['-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', folder, repository];
execFileSync(python, ['-P', ...build], { cwd: folder, stdio: 'inherit' });
const file = readdirSync(folder).find((name) => name.startsWith(`quicksilver_lsp-${version}-`));
if (file === undefined) {
  throw new Error(`the wheel and package.json (${version}) must have one version`);
}
const sha256 = createHash('sha256').update(readFileSync(join(folder, file))).digest('hex');
writeFileSync(join(folder, 'wheel.json'), JSON.stringify({ file, sha256 }));
console.log(`server/${file}, sha256 ${sha256}`);
