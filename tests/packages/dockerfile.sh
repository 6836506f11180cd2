#!/usr/bin/env bash
# dockerfile.sh FOLDER - does what the Dockerfile says without an engine: every stage is a plain
# Debian root below FOLDER/NAME, every RUN a chroot. Then tries what came of it: the packages are
# complete, start, serve a call, satisfy systemd, compile a program, and purge without a trace.
#
# Needs root, mmdebstrap, and the network (Debian's and Python's archives). 77: it cannot run here.
# shellcheck disable=SC2016,SC2317 # scripts of the chroots stand in quotes; checks are called by name
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source=$PWD
mkdir -p "${1:?usage: dockerfile.sh FOLDER}"
folder=$(cd "$1" && pwd)
failures=0

skip() {
  echo "dockerfile.sh: skipped: $1"
  exit 77
}
[ "$(id -u)" -eq 0 ] || skip "needs root for its chroots"
command -v mmdebstrap >/dev/null || skip "needs mmdebstrap"
unshare --mount true 2>/dev/null || skip "may not make mount namespaces here"

# ---- stages ----------------------------------------------------------------------------------

# inside ROOT COMMAND... runs a command in a root, with /proc, in namespaces of its own.
inside() {
  local root=$1
  shift
  unshare --mount --pid --fork --kill-child sh -c '
    mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" "$@"
}

base() {
  if [ ! -e "$folder/base.tar" ]; then
    echo "dockerfile.sh: making a Debian root"
    mmdebstrap --variant=minbase --quiet bookworm "$folder/base.part.tar" ||
      skip "Debian's archive cannot be reached"
    mv "$folder/base.part.tar" "$folder/base.tar"
  fi
  rm -rf "${folder:?}/$1"
  mkdir -p "$folder/$1"
  tar -C "$folder/$1" -xf "$folder/base.tar"
  cp /etc/resolv.conf "$folder/$1/etc/resolv.conf"
  # Authorities that this machine trusts beside Debian's: a mirror of its network may need them.
  mkdir -p "$folder/$1/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' \
    -exec cp {} "$folder/$1/usr/local/share/ca-certificates" \;
}

stage='' folder_of=/

instruct() { # INSTRUCTION REST
  local root=$folder/$stage words=()
  case $1 in
    FROM)
      read -r -a words <<<"$2"
      [ "${words[0]}" = debian:bookworm-slim ] || { echo "unknown base ${words[0]}" && return 1; }
      stage=${words[2]} folder_of=/
      base "$stage"
      ;;
    RUN)
      echo "dockerfile.sh: $stage: ${2:0:90}"
      inside "$root" sh -c "cd $folder_of && { $2
      }" >"$folder/$stage.log" 2>&1 </dev/null ||
        { tail -30 "$folder/$stage.log" && return 1; }
      ;;
    COPY)
      read -r -a words <<<"$2"
      if [[ ${words[0]} == --from=* ]]; then
        mkdir -p "$(dirname "$root${words[2]}")"
        cp -a "$folder/${words[0]#--from=}${words[1]}" "$root${words[2]}"
      elif [ "${words[0]}" = . ]; then
        mkdir -p "$root${words[1]}"
        git ls-files -z --cached --others --exclude-standard |
          tar -C "$source" --null --files-from=- --ignore-failed-read -cf - | tar -C "$root${words[1]}" -xf -
      else
        cp "${words[0]}" "$root${words[1]}"
      fi
      ;;
    WORKDIR) folder_of=$2 ;;
    USER) inside "$root" getent passwd "$2" >/dev/null ;;
    CMD | HEALTHCHECK)
      [[ $2 =~ \[\"([^\"]*)\" ]]
      inside "$root" sh -c "command -v ${BASH_REMATCH[1]}" >/dev/null
      ;;
    VOLUME) ;;
    *) echo "unknown instruction $1" && return 1 ;;
  esac
}

all_stages() {
  local text=
  while IFS= read -r line; do
    if [[ -z $text && ($line == \#* || -z $line) ]]; then continue; fi
    if [[ $line == *\\ ]]; then
      text+=${line%\\}
      continue
    fi
    text+=$line
    instruct "${text%% *}" "${text#* }" || return 1
    text=
  done <Dockerfile
}

# ---- what came of it -------------------------------------------------------------------------

# Within a function that it calls, `set -e` does not hold.
check() { # WHAT COMMAND...
  local what=$1
  shift
  if "$@" >"$folder/check.log" 2>&1 </dev/null; then
    echo "ok      $what"
  else
    failures=$((failures + 1))
    echo "FAILED  $what"
    tail -20 "$folder/check.log"
  fi
}

# As the service units do it: the user weir, a folder of its own, and a proxy beside it.
serve_a_call() {
  inside "$folder/weir" sh -eu -c '
    mkdir -p /run/weir /var/lib/weir && chown weir: /run/weir /var/lib/weir
    setpriv --reuid=weir --regid=weir --clear-groups weir-coordinator --config /etc/weir/weir.yaml &
    coordinator=$!
    weir stats --timeout 10s --json
    WEIR_LISTEN=unix:/run/proxy.sock weir-proxy &
    proxy=$!
    weir check /etc/weir/weir.yaml
    kill "$proxy" "$coordinator"
    wait "$coordinator"'
}

# docker-compose.yml's parts with its settings, on a loopback of their own: the provider, the
# coordinator, a proxy, and a service whose SDK knows nothing of weir.
work_together() {
  export folder
  export -f inside
  cp docs/compose/weir.yaml "$folder/weir/tmp/compose.yaml"
  install -m 0644 docs/compose/admin.token "$folder/weir/etc/weir/admin.token"
  unshare --net --pid --fork --kill-child --mount-proc bash -eu -c '
    ip link set lo up
    inside "$folder/upstream" weir-upstream --listen 127.0.0.1:7450 --latency-ms 50 \
      --limit rpm=300:bucket,tpm=200k:bucket &
    inside "$folder/weir" sh -c "mkdir -p /run/weir && exec weir-coordinator --config /tmp/compose.yaml" &
    WEIR_PROVIDERS=openai=http://127.0.0.1:7450 OPENAI_API_KEY=demo WEIR_PROXY_TOKEN=local \
      inside "$folder/weir" weir-proxy &
    OPENAI_BASE_URL=http://127.0.0.1:8787/v1 OPENAI_API_KEY=local \
      inside "$folder/service" timeout 12 /venv/bin/python -u /service.py >"$folder/service.txt" || true
    cat "$folder/service.txt"
    tail -n 1 "$folder/service.txt" | grep -E "[1-9][0-9]* answers, 0 errors"
    curl -fsS http://127.0.0.1:7450/_admin/counters
    curl -fsS -H "Authorization: Bearer $(cat docs/compose/admin.token)" http://127.0.0.1:7448/metrics |
      grep "^weir_sessions 1$"' || return 1
  rm "$folder/weir/etc/weir/admin.token"
}

compile_against_it() {
  inside "$folder/build" sh -eu -c '
    apt-get install --yes --no-install-recommends /packages/libweir0_*.deb /packages/libweir-dev_*.deb
    printf "#include <weir.h>\nint main(void) { return weir_version() == 0; }\n" >/tmp/a.c
    cc /tmp/a.c $(pkg-config --cflags --libs libweir) -o /tmp/a && /tmp/a'
}

units_are_right() {
  inside "$folder/weir" sh -eu -c '
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends systemd
    systemd-analyze verify --man=no weir-coordinator.service weir-proxy.service'
}

completions_are_right() {
  inside "$folder/weir" bash -eu -c '
    . /usr/share/bash-completion/completions/weir
    COMP_WORDS=(weir sta) COMP_CWORD=1
    _weir
    [ "${COMPREPLY[*]}" = stats ]
    COMP_WORDS=(weir stats --js) COMP_CWORD=2
    _weir
    [ "${COMPREPLY[*]}" = --json ]'
}

purges() {
  inside "$folder/weir" dpkg --purge weir-coordinator || return 1
  inside "$folder/weir" getent group weir || return 1 # the proxy starts with it
  inside "$folder/weir" dpkg --purge weir-proxy weir libweir0 || return 1
  local left
  left=$(find "$folder/weir" -mindepth 1 -xdev -name '*weir*' -not -path '*/var/lib/dpkg/*' -not -path '*/run/weir*' \
    -not -path '*/log/*' -not -path '*/proc/*')
  if [ -n "$left" ]; then
    echo "left: $left"
    return 1
  fi
  if grep weir "$folder/weir/etc/passwd" "$folder/weir/etc/group"; then return 1; fi
}

if command -v docker-compose >/dev/null; then
  check "docker-compose.yml is right" docker-compose -f docker-compose.yml config
fi
all_stages || { echo "FAILED  the Dockerfile" && exit 1; }
check "the coordinator starts as its user, and answers" serve_a_call
check "a service on an SDK works within the quota" work_together
check "the units are right" units_are_right
check "shells complete commands and options" completions_are_right
check "a program compiles against the packages" compile_against_it
check "purging leaves nothing" purges
if [ $failures -eq 0 ]; then rm -rf "${folder:?}"/{build,weir,upstream,service}; fi
exit $((failures > 0))
