#!/usr/bin/env bash
# consumer.sh BUILD README - installs BUILD to a temporary prefix, builds the programs of this
# folder and the README's example against it by CMake and by pkg-config, and runs them.
set -euo pipefail

build=$1
readme=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
endpoint=ipc://$work/nobody.sock

cmake --install "$build" --prefix "$work/usr" >"$work/install.log"
"$here/example.sh" "$readme" >"$work/readme.c"

cmake -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/usr" \
  -DREADME_EXAMPLE="$work/readme.c" >"$work/configure.log"
cmake --build "$work/cmake" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/cmake/consumer" "$endpoint"

pc=$(dirname "$(find "$work/usr" -name libweir.pc)")
export PKG_CONFIG_PATH=$pc
read -ra flags < <(pkg-config --cflags --libs libweir)
"${CXX:-c++}" -std=c++11 -Wall -Wextra -Wpedantic -Werror "$here/consumer.cc" \
  -o "$work/consumer" "${flags[@]}"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir libweir) "$work/consumer" "$endpoint"

# The program finds its library below any prefix.
"$work/usr/bin/weir" help >/dev/null

# Manual pages are there when scdoc was.
if command -v scdoc >/dev/null; then
  for page in man1/weir.1 man8/weir-coordinator.8 man8/weir-proxy.8; do
    if [ ! -s "$work/usr/share/man/$page" ]; then
      echo "consumer.sh: share/man/$page was not installed" >&2
      exit 1
    fi
  done
fi

# Nothing but the one header may be needed, or installed.
headers=$(cd "$work/usr/include" && find . -type f)
if [ "$headers" != ./weir.h ]; then
  echo "consumer.sh: installed headers are: $headers; it should be weir.h alone" >&2
  exit 1
fi
