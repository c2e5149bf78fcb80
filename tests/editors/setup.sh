#!/bin/sh
# Gets the terminal editors that the tests drive: the system's Neovim and Emacs (with lsp-mode), and a newer Neovim beside
# them. As root on Debian; elsewhere install them yourself: tests of what is missing are skipped and say so.
# usage: setup.sh FOLDER       then: . FOLDER/environment
set -eu

folder=$(mkdir -p "${1:?usage: setup.sh FOLDER}" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
suite=forky # of Debian, which has Neovim 0.12

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo 'setup.sh: needs apt-get on Debian, as root' >&2
  exit 1
fi

have() { dpkg -s "$1" >/dev/null 2>&1; }

have neovim && have emacs-nox && have elpa-lsp-mode || {
  apt-get -q update
  apt-get -q install -y --no-install-recommends neovim emacs-nox elpa-lsp-mode
}
new=$("$here/get_nvim.sh" "$folder/nvim-$suite" "$suite")

cat >"$folder/environment" <<END
export QUICKSILVER_NVIM_OLD='$(command -v nvim)'
export QUICKSILVER_NVIM_NEW='$new'
export QUICKSILVER_EMACS='$(command -v emacs)'
END
"$new" --version | head -n 1
nvim --version | head -n 1
emacs --version | head -n 1
echo "ready: . $folder/environment"
