#!/usr/bin/env bash
# selftest.sh CASE SOURCE BUILD CC - breaks a copy of the tree on purpose and fails unless the check
# named CASE notices and names the culprit. A gate that cannot fail is worse than none.
set -euo pipefail

case=$1
source=$2
build=$3
compiler=$4
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cd "$source"
mkdir "$copy/tree"
for entry in dev ./*.md CMakeLists.txt .ci .clang-format .clang-tidy cmake core proto coordinator \
  shim tests docs data; do
  if [ -e "$entry" ]; then cp -a "$entry" "$copy/tree/"; fi
done
cd "$copy/tree"
ci=$copy/tree/.ci
broken=0

# notices CULPRIT COMMAND... expects the command to fail and its output to name the culprit.
notices() {
  local culprit=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [ $status -eq 0 ]; then
    echo "selftest: $case: not noticed: $culprit"
    broken=1
  elif ! grep -qF -- "$culprit" <<<"$output"; then
    printf 'selftest: %s: failed without naming %s:\n%s\n' "$case" "$culprit" "$output"
    broken=1
  fi
}

# passes COMMAND... expects success: what is allowed must not be reported.
passes() {
  local output
  if ! output=$("$@" 2>&1); then
    printf 'selftest: %s: fails on what is allowed:\n%s\n' "$case" "$output"
    broken=1
  fi
}

# archive NAME CODE... compiles CODE as a second member beside a blameless one.
archive() {
  local name=$1
  shift
  rm -f "$copy/$name"
  printf '%s\n' 'int weir_ok(const int *x);' 'int weir_ok(const int *x) { return *x; }' >"$copy/ok.c"
  printf '%s\n' "$@" >"$copy/culprit.c"
  (cd "$copy" && "$compiler" -std=c11 -O0 -fPIC -c ok.c culprit.c && ar rc "$name" ok.o culprit.o)
}

case $case in
  pure)
    archive libweir_core.a '#include <time.h>' 'long weir_x(void) { return (long)time(0); }'
    notices 'culprit.o calls time' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a '#include <stdlib.h>' 'void *weir_x(void) { return malloc(1); }'
    notices 'culprit.o calls malloc' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a '#include <errno.h>' 'int weir_x(void) { return errno; }'
    notices 'culprit.o calls __errno_location' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a 'int weir_x(void) { static int calls; return ++calls; }'
    notices 'writable data calls' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a 'int weir_total = 3;'
    notices 'writable data weir_total in .data' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a '_Thread_local int weir_mine;'
    notices 'writable data weir_mine in .tbss' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a 'int helper(void) { return 1; }'
    notices 'culprit.o exports helper' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_core.a '#include <arpa/inet.h>' 'unsigned weir_x(unsigned n) { return (ntohl)(n); }'
    notices 'culprit.o calls ntohl' "$ci/check-pure" "$copy/libweir_core.a"
    archive libweir_proto.a '#include <arpa/inet.h>' 'unsigned weir_x(unsigned n) { return (ntohl)(n); }'
    passes "$ci/check-pure" "$copy/libweir_proto.a"
    archive libweir_core.a '#include <string.h>' '#include <assert.h>' \
      'static const char *const words[] = {"a", "b"};' \
      'const char *weir_x(unsigned i) { assert(i < 2); return strchr(words[i], 97); }'
    passes "$ci/check-pure" "$copy/libweir_core.a"
    ar rc "$copy/empty.a"
    notices 'no code in it' "$ci/check-pure" "$copy/empty.a"
    ;;

  paths)
    # With the flags that core is really built with, a header of a layer above must not be found.
    command=$(sed -n 's|^ *"command": "\(.* -c .*/core/rng\.c\)",*$|\1|p' \
      "$build/compile_commands.json" | sed 's/\\\(.\)/\1/g' | head -1 || true)
    if [ -z "$command" ]; then
      echo "selftest: paths: no command for core/rng.c in $build/compile_commands.json"
      exit 1
    fi
    cd "$build"
    passes sh -c "$command -fsyntax-only"
    for above in weir/msg.h weir/coord.h; do
      notices "$above" sh -c "$command -fsyntax-only -include $above"
    done
    ;;

  layers)
    breaks() { # FILE LINE CULPRIT
      mkdir -p "$(dirname "$1")"
      if [ -e "$1" ]; then cp -a "$1" "$copy/saved"; fi
      printf '%s\n' "$2" >>"$1"
      notices "$3" "$ci/check-layers" .
      rm -f "$1"
      if [ -e "$copy/saved" ]; then mv "$copy/saved" "$1"; fi
    }
    breaks core/rng.c '#include <weir/msg.h>' 'core may not include weir/msg.h of proto'
    breaks core/rng.c '#include <time.h>' 'not time.h'
    breaks core/rng.c '#include <stdio.h>' 'not stdio.h'
    breaks core/rng.c 'double weir_x;' 'no floating point'
    breaks proto/msg.c '#include <weir/coord.h>' 'proto may not include weir/coord.h'
    breaks proto/msg.c '#include <msgpack.h>' 'not msgpack.h'
    breaks coordinator/state/x.c '#include <weir/codec.h>' 'weir/codec.h of proto/codec'
    breaks coordinator/state/x.c '#include "../../proto/include/weir/codec.h"' 'of proto/codec'
    breaks shim/state/x.c '#include <weir/codec.h>' 'weir/codec.h of proto/codec'
    breaks shim/state/x.c '#include <weir/ledger.h>' 'weir/ledger.h of coordinator/state'
    breaks shim/shell/x.c '#include <weir/coord.h>' 'weir/coord.h of coordinator/state'
    breaks shim/shell/x.c '#include <czmq.h>' 'czmq.h'
    breaks shim/cli/x.c '#include <weir/ledger.h>' 'weir/ledger.h of coordinator/state'
    breaks shim/cli/x.c '#include "engine.h"' 'shim/cli may not include engine.h of tests'
    breaks tests/upstream/x.c '#include <weir/ledger.h>' 'weir/ledger.h of coordinator/state'
    breaks core/rng.c '#include <weir/nowhere.h>' 'weir/nowhere.h is in no include folder'
    mkdir -p shim/state/include/weir
    echo >shim/state/include/weir/x_client.h
    breaks coordinator/state/x.c '#include <weir/x_client.h>' 'weir/x_client.h of shim/state'
    rm -r core proto coordinator shim tests docs
    notices 'no C sources found' "$ci/check-layers" .
    ;;

  docs)
    header=core/include/weir/rng.h
    adds() { # CULPRIT LINE...
      local culprit=$1
      shift
      cp -a "$header" "$copy/saved"
      printf '%s\n' '' "$@" >>"$header"
      notices "$culprit" "$ci/check-docs" .
      mv "$copy/saved" "$header"
    }
    adds "weir_rng_x lacks" 'int weir_rng_x(void);'
    adds "weir_rng_x lacks" '/* Returns a thing. */' 'int weir_rng_x(void);'
    adds "weir_rng_x lacks" '/* weir_rng_x returns a thing. */' '' 'int weir_rng_x(void);'
    adds "weir_rng_y lacks" '/* weir_rng_x returns a thing. */' 'int weir_rng_x(void);' 'int weir_rng_y(int (*f)(void));'
    adds "weir_rng_x lacks" '/* weir_rng_xy returns. */' '__attribute__((format(printf, 1, 2))) void' '    weir_rng_x(const char *f, ...);'
    adds "weir_rng_x lacks" 'static inline int weir_rng_x(void)' '{' '  return weir_rng_y(1);' '}'
    mkdir -p shim/include
    printf '%s\n' '#ifdef __cplusplus' 'extern "C" {' '#endif' '/* weir_a opens, */' 'int weir_b(void);' \
      '#ifdef __cplusplus' '}' '#endif' >shim/include/x.h
    notices "shim/include/x.h:5: weir_b lacks" "$ci/check-docs" .
    rm -r core proto coordinator
    printf '%s\n' '/* weir_*_name and weir_c return x. */' 'int weir_b_name(void);' 'int weir_c(void);' \
      >shim/include/x.h
    passes "$ci/check-docs" .
    rm -r shim
    notices 'no functions found' "$ci/check-docs" .
    ;;

  sleeps)
    # Split, so that this file does not break the rule that it tests.
    nap=sl""eep
    tries() { # FILE CODE CULPRIT
      printf '%s\n' "$2" >"tests/$1"
      notices "$3" "$ci/check-sleeps" .
      rm "tests/$1"
    }
    tries x.c "void f(void) { u$nap(10); }" "tests/x.c:1: u$nap"
    tries x.h "static void f(void) { nano$nap (&t, 0); }" "tests/x.h:1: nano$nap"
    tries x.c "int g(void) { return poll(NULL, 0, 100); }" 'tests/x.c:1: poll'
    tries x.c "int g(void) { return zmq_poll(0, 0, 100); }" 'tests/x.c:1: zmq_poll'
    tries x.sh "while ! test -e f; do $nap 0.1; done" "tests/x.sh:1: $nap"
    tries x.py "time.$nap(1)" "tests/x.py:1: time.$nap"
    find tests -type f -delete
    printf '%s\n' "/* never $nap() */ int poll_it(void);" 'int f(void) { return poll(fds, 1, 100); }' >tests/x.c
    passes "$ci/check-sleeps" .
    rm -r tests
    notices 'no files' "$ci/check-sleeps" .
    ;;

  mutants)
    list=tests/mutants/mutants.txt
    mkdir -p core "${list%/*}"
    printf 'a = 1;\n' >core/x.c
    printf '@ core/x.c: it is 2\n- a = 1;\n+ a = 2;\n' >$list
    passes "$ci/check-mutants" .
    printf 'b = 1;\n' >core/x.c
    notices "$list:1: \"a = 1;\" stands 0 times in core/x.c" "$ci/check-mutants" .
    printf 'a = 1;\na = 1;\n' >core/x.c
    notices 'stands 2 times' "$ci/check-mutants" .
    printf '# none\n' >$list
    notices 'no mutants' "$ci/check-mutants" .
    ;;

  format)
    rm -r core proto coordinator shim docs
    find tests -name '*.[ch]' -delete
    printf 'int f(void)\n{\n  return 1;\n}\n' >tests/x.c
    passes "$ci/check-format" .
    printf 'int f(void) {\n\treturn 1; }\n' >tests/x.c
    notices 'tests/x.c:1' "$ci/check-format" .
    rm tests/x.c
    notices 'no c files' "$ci/check-format" .
    ;;

  shell)
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nrm $1\n' >tests/x
    notices 'tests/x line 2' "$ci/check-shell" .
    rm -r ./*
    find .ci -type f ! -name files ! -name check-shell -delete
    sed -i 1d .ci/files .ci/check-shell
    notices 'no shell files' bash "$ci/check-shell" .
    ;;

  spelling)
    wrong=recie""ve
    echo "/* to $wrong */" >core/x.c
    notices "core/x.c:1: $wrong" "$ci/check-spelling" .
    rm core/x.c
    echo "to $wrong" >CHANGELOG.md
    notices "CHANGELOG.md:1: $wrong" "$ci/check-spelling" .
    ;;

  abi)
    printf '%s\n' 'int weir_a(void) { return 1; }' 'int weir_b(void) { return 2; }' >"$copy/lib.c"
    "$compiler" -shared -fPIC -o "$copy/lib.so" "$copy/lib.c"
    printf 'weir_a\nweir_b\n' >"$copy/sym"
    passes "$ci/check-abi" "$copy/lib.so" "$copy/sym"
    printf 'weir_a\n' >"$copy/sym"
    notices 'weir_b is exported but not listed' "$ci/check-abi" "$copy/lib.so" "$copy/sym"
    printf 'weir_a\nweir_b\nweir_c\n' >"$copy/sym"
    notices 'weir_c is listed' "$ci/check-abi" "$copy/lib.so" "$copy/sym"
    printf 'weir_b\nweir_a\n' >"$copy/sym"
    notices 'is not sorted' "$ci/check-abi" "$copy/lib.so" "$copy/sym"
    ;;

  tidy)
    mkdir "$copy/build"
    printf '%s\n' '#include <stdint.h>' 'uint64_t weir_x(uint32_t a, uint32_t b)' '{' '  return a * b;' '}' \
      >core/x.c
    entry() { printf '[{"directory": "%s",\n "command": "cc -std=c11 -c core/x.c",\n "file": "%s"\n}]\n' "$PWD" "$1"; }
    entry "$PWD/core/x.c" >"$copy/build/compile_commands.json"
    notices 'core/x.c:4' "$ci/check-tidy" "$copy/build"
    notices 'compiles nothing under shim' "$ci/check-tidy" "$copy/build" shim
    ;;

  verdict)
    # ./dev with a cmake and a ctest that do as they are told: what it says and how it exits.
    mkdir "$copy/bin"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexit "$FAKE_CMAKE"\n' >"$copy/bin/cmake"
    # shellcheck disable=SC2016
    printf '%s\n' '#!/bin/sh' 'while [ "$1" != --output-junit ]; do shift; done' \
      'if [ -n "$FAKE_REPORT" ]; then echo "$FAKE_REPORT" >"$2"; fi' 'exit "$FAKE_CTEST"' \
      >"$copy/bin/ctest"
    chmod +x "$copy"/bin/*
    says() { # EXIT LAST-LINE CMAKE CTEST REPORT
      local output status=0
      output=$(PATH="$copy/bin:$PATH" FAKE_CMAKE=$3 FAKE_CTEST=$4 FAKE_REPORT=$5 ./dev asan 2>&1) ||
        status=$?
      if [ $status -ne "$1" ] || [ "$(tail -n 1 <<<"$output")" != "$2" ]; then
        printf 'selftest: verdict: not exit %s and "%s" but exit %s and:\n%s\n' "$1" "$2" $status "$output"
        broken=1
      fi
    }
    says 0 '3 passed, 0 failed' 0 0 '<testsuite name="x" tests="3" failures="0">'
    says 1 '2 passed, 1 failed' 0 8 '<testsuite name="x" tests="3" failures="1">'
    says 1 '0 passed, 1 failed' 0 8 ''
    says 1 '0 passed, 1 failed' 0 0 '<testsuite name="x" tests="0" failures="0">'
    says 1 '0 passed, 1 failed' 1 0 '<testsuite name="x" tests="3" failures="0">'
    says 1 '3 passed, 1 failed' 0 8 '<testsuite name="x" tests="3" failures="0">'
    ;;

  sanitizers)
    # A sandbox may keep LeakSanitizer from tracing, and TSan from its addresses: then ./dev asan and
    # ./dev tsan would prove nothing here.
    finds() { # SANITIZER WORD CODE...
      local sanitizer=$1 word=$2
      shift 2
      printf '%s\n' "$@" >"$copy/x.c"
      gcc -g "-fsanitize=$sanitizer" -fno-sanitize-recover=all -o "$copy/x" "$copy/x.c"
      if setarch -R true 2>/dev/null; then
        notices "$word" setarch -R "$copy/x"
      else
        notices "$word" "$copy/x"
      fi
    }
    finds address LeakSanitizer '#include <stdlib.h>' \
      'int main(void) { volatile char *p = malloc(9); p = 0; return p != 0; }'
    finds address heap-use-after-free '#include <stdlib.h>' \
      'int main(void) { volatile char *p = malloc(9); free((void *)p); return *p; }'
    finds undefined 'signed integer overflow' \
      'int main(int n, char **v) { volatile int x = 0x7fffffff; (void)v; x += n; return x == 5; }'
    finds thread 'data race' '#include <pthread.h>' 'static int n;' \
      'static void *add(void *p) { n++; return p; }' 'int main(void)' \
      '{ pthread_t t; pthread_create(&t, 0, add, 0); n++; return pthread_join(t, 0); }'
    ;;

  *)
    echo "selftest: there is no case $case"
    exit 2
    ;;
esac
exit $broken
