#!/usr/bin/env bash
# run.sh FOLDER [TEXT] - breaks a copy of the tree in FOLDER by each mutant of mutants.txt in turn
# (only those whose first line holds TEXT), builds it and runs the fast tests. Prints a line a mutant and, last, "N caught, N not"; fails when one is
# not caught, does not build, or does not apply.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=${1:?usage: run.sh FOLDER [TEXT]}
text=${2:-}
rm -rf "$work/src"
mkdir -p "$work/src"
cp -a dev ./*.md CMakeLists.txt CMakePresets.json .clang-format .clang-tidy .ci cmake core proto \
  coordinator shim tests docs data "$work/src"
work=$(cd "$work" && pwd)
caught=0
missed=0

# The tests that judge a mutant: fast ones, and of the checks those that read the product's code.
build_and_test() {
  cmake --build "$work/build" --parallel "$(nproc)" || return 2
  ctest --test-dir "$work/build" --parallel "$(nproc)" --stop-on-failure --no-tests=error \
    --label-exclude '^(install|bench|long|e2e|shell)$' \
    --exclude-regex '^lint\.(format|docs|spelling|shell|sleeps|selftest\..*)$'
}

miss() {
  missed=$((missed + 1))
  echo "mutants: $1: $2"
}

# judge FILE NAME OLD NEW
judge() {
  local file=$1 name="$1: $2" log=$work/log.txt status=0
  if ! OLD=$3 NEW=$4 perl -0pi -e '
      my ($old, $new) = @ENV{"OLD", "NEW"};
      my $count = () = /\Q$old\E/g;
      die "stands there $count times\n" if $count != 1;
      s/\Q$old\E/$new/' "$work/src/$file" 2>"$log"; then
    miss "$name" "does not apply: \"$3\" $(head -1 "$log")"
    return
  fi
  build_and_test >"$log" 2>&1 </dev/null || status=$?
  if [ $status -eq 0 ]; then
    miss "$name" "no test notices"
  elif [ $status -eq 2 ]; then
    miss "$name" "does not build; see below"
    tail -20 "$log"
  else
    caught=$((caught + 1))
    echo "mutants: $name: caught by $(sed -n 's/.*[0-9] - \([^ ]*\) (.*/\1/p' "$log" | head -1)"
  fi
  cp -a "$root/$file" "$work/src/$file"
  touch "$work/src/$file"
}

# Unbroken, all has to pass: or every mutant would be "caught" by somebody else's failure.
if ! { cmake -S "$work/src" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug && build_and_test; } \
  >"$work/log.txt" 2>&1 </dev/null; then
  tail -40 "$work/log.txt"
  echo "mutants: the tests fail without any mutant"
  exit 1
fi
file='' name='' old='' new=''
flush() {
  if [ -n "$file" ] && [[ "$file: $name" == *"$text"* ]]; then judge "$file" "$name" "$old" "$new"; fi
  file=''
}
while IFS= read -r line; do
  case $line in
    '@ '*)
      flush
      file=${line#@ } name=${line#*: } old='' new=''
      file=${file%%: *}
      ;;
    '- '*) old=${line#- } ;;
    '+ '*) new=${line#+ } ;;
  esac
done <tests/mutants/mutants.txt
flush
echo "$caught caught, $missed not"
[ $missed -eq 0 ] && [ $caught -gt 0 ]
