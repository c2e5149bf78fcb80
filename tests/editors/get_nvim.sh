#!/bin/sh
# Puts a newer Neovim into a folder of its own, beside the system's, whose packages stay as they are: for the tests of
# the plugin, on Debian. Prints the program to run.
#
# usage: get_nvim.sh FOLDER [SUITE]     SUITE: the Debian suite to take it from; testing by default
#
# apt fetches the packages from the mirror that this machine's apt uses, with lists and a cache of its own in FOLDER,
# and dpkg unpacks them there. Neovim gets the loader and the libraries of its own suite, since the system's may be
# older than what it was built for.
set -eu

folder=${1:?usage: get_nvim.sh FOLDER [SUITE]}
suite=${2:-testing}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
program=$folder/nvim

if "$program" --version >/dev/null 2>&1; then
    echo "$program"
    exit 0
fi

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
if [ -z "$mirror" ]; then
    echo 'get_nvim.sh: apt knows no mirror on this machine' >&2
    exit 1
fi

apt=$folder/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status" # nothing counts as installed, so that everything is fetched
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"

own_apt() {
    apt-get -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State::Lists="$apt/lists" -o Dir::State::Status="$apt/status" -o Dir::Cache="$apt" \
        -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false -o Debug::NoLocking=true "$@" >&2
}

own_apt update
own_apt install -y --download-only neovim patchelf
for package in "$apt"/archives/*.deb; do
    dpkg-deb -x "$package" "$folder"
done

loader=$(find "$folder/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
libraries=$(dirname "$loader")
real=$folder/usr/bin/nvim
# patchelf is as new as the rest: it too needs the loader that came with it.
"$loader" --library-path "$libraries" "$folder/usr/bin/patchelf" \
    --set-interpreter "$loader" --set-rpath "$libraries" "$real"

cat >"$program" <<RUN
#!/bin/sh
export VIMRUNTIME='$folder/usr/share/nvim/runtime'
export LUA_PATH='$folder/usr/share/lua/5.1/?.lua;$folder/usr/share/lua/5.1/?/init.lua;;'
export LUA_CPATH='$libraries/lua/5.1/?.so;;'
exec '$real' "\$@"
RUN
chmod +x "$program"
"$program" --version | head -n 1 >&2
rm -r "$apt"
echo "$program"
