#!/usr/bin/env bash
# run.sh FOLDER [TEXT] - breaks a copy of the tree in FOLDER by each mutant of mutants.txt in turn
# (only those whose first line holds TEXT), and builds and runs tests until one notices: first those that
# are named after the file that is broken, or by the mutant, then all fast ones. Prints a line a mutant and,
# last, "N caught, N not"; fails when one is not caught, does not build, or does not apply.
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

# The tests that judge a mutant: fast ones, and of the checks those that read the product's code; last
# the simulator's, which take minutes in a build for debugging.
all_test() {
  local slow='install|bench|long|e2e|shell'
  cmake --build "$work/build" --parallel "$(nproc)" || return 2
  run_tests --label-exclude "^($slow|sim)\$" && run_tests --label-regex '^sim$'
}

run_tests() {
  ctest --test-dir "$work/build" --parallel "$(nproc)" --stop-on-failure --no-tests=error "$@" \
    --exclude-regex '^lint\.(format|docs|spelling|shell|sleeps|mutants|selftest\..*)$'
}

# near_test FILE [NAMES] - the tests NAMES, or else those named after FILE; 3 when there are none.
near_test() {
  local stem names name targets=() found=() known
  stem=$(basename "$1")
  stem=${stem%.*}
  names=${2:-unit.$stem wire.$stem unit.coord_$stem}
  known=$(ninja -C "$work/build" -t targets all)
  for name in $names; do
    grep -q "^test_${name//./_}: phony" <<<"$known" || continue
    found+=("$name")
    targets+=("test_${name//./_}")
  done
  [ ${#targets[@]} -gt 0 ] || return 3
  names=$(printf '%s|' "${found[@]}")
  cmake --build "$work/build" --parallel "$(nproc)" --target "${targets[@]}" || return 2
  ctest --test-dir "$work/build" --stop-on-failure --no-tests=error --tests-regex "^(${names%|})$"
}

# Unbroken, the tests have to pass: or every mutant would be "caught" by somebody else's failure. Asked
# once for each set of tests, and of all of them only when a mutant needs all.
declare -A sound=()
need_sound() {
  [ -z "${sound[$*]:-}" ] || return 0
  local status=0
  "$@" >"$work/log.txt" 2>&1 </dev/null || status=$?
  if [ $status -ne 0 ] && [ $status -ne 3 ]; then
    tail -40 "$work/log.txt"
    echo "mutants: the tests fail without any mutant"
    exit 1
  fi
  sound[$*]=1
}

miss() {
  missed=$((missed + 1))
  echo "mutants: $1: $2"
}

# break_file FILE OLD NEW
break_file() {
  OLD=$2 NEW=$3 perl -0pi -e '
    my ($old, $new) = @ENV{"OLD", "NEW"};
    my $count = () = /\Q$old\E/g;
    die "stands there $count times\n" if $count != 1;
    s/\Q$old\E/$new/' "$work/src/$1" 2>"$work/log.txt"
}

mend_file() {
  cp -a "$root/$1" "$work/src/$1"
  touch "$work/src/$1"
}

# judge FILE NAME OLD NEW TESTS
judge() {
  local file=$1 name="$1: $2" log=$work/log.txt status=0
  need_sound near_test "$file" "$5"
  if ! break_file "$file" "$3" "$4"; then
    miss "$name" "does not apply: \"$3\" $(head -1 "$log")"
    return
  fi
  near_test "$file" "$5" >"$log" 2>&1 </dev/null || status=$?
  if [ $status -eq 0 ] || [ $status -eq 3 ]; then
    mend_file "$file"
    need_sound all_test
    break_file "$file" "$3" "$4"
    status=0
    all_test >"$log" 2>&1 </dev/null || status=$?
  fi
  if [ $status -eq 0 ]; then
    miss "$name" "no test notices"
  elif [ $status -eq 2 ]; then
    miss "$name" "does not build; see below"
    tail -20 "$log"
  else
    caught=$((caught + 1))
    echo "mutants: $name: caught by $(sed -n 's/.*[0-9] - \([^ ]*\) (.*/\1/p' "$log" | head -1)"
  fi
  mend_file "$file"
}

if ! cmake -S "$work/src" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 \
  >"$work/log.txt" 2>&1 </dev/null; then
  tail -40 "$work/log.txt"
  echo "mutants: the tree does not configure"
  exit 1
fi
file='' name='' old='' new='' tests=''
flush() {
  if [ -n "$file" ] && [[ "$file: $name" == *"$text"* ]]; then judge "$file" "$name" "$old" "$new" "$tests"; fi
  file=''
}
while IFS= read -r line; do
  case $line in
    '@ '*)
      flush
      file=${line#@ } name=${line#*: } old='' new='' tests=''
      file=${file%%: *}
      ;;
    '- '*) old=${line#- } ;;
    '+ '*) new=${line#+ } ;;
    '? '*) tests=${line#? } ;;
  esac
done <tests/mutants/mutants.txt
flush
echo "$caught caught, $missed not"
[ $missed -eq 0 ] && [ $caught -gt 0 ]
