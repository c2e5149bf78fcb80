// A wheel of the server's name that needs nothing: its program is the scripted server of this repository.
import { execFileSync } from 'node:child_process';
import { PYTHON, SCRIPTED } from './place.mjs';

const SCRIPT = `
import sys, zipfile
folder, python, scripted, text = sys.argv[1:]
file = f"{folder}/quicksilver_lsp-0.1.0-py3-none-any.whl"
main = f'''import os, sys
def main():
    if sys.argv[1:] == ["--version"]:
        print("quicksilver 0.1.0")
    else:
        os.execv({python!r}, [{python!r}, "-P", {scripted!r}, "--text", {text!r}, "--confidence", "0.99"])
'''
with zipfile.ZipFile(file, "w") as wheel:
    info = "quicksilver_lsp-0.1.0.dist-info"
    wheel.writestr("quicksilver_from_a_wheel.py", main)
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: quicksilver-lsp\\nVersion: 0.1.0\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nquicksilver = quicksilver_from_a_wheel:main\\n")
    wheel.writestr(f"{info}/RECORD", "")
print(file)`;

/** Make the wheel in a folder; its server answers with `text`. Gives the wheel's path. */
export function makeWheel(folder, text) {
  return execFileSync(PYTHON, ['-c', SCRIPT, folder, PYTHON, SCRIPTED, text], { encoding: 'utf8' }).trim();
}
