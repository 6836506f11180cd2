#!/usr/bin/env bash
# up.sh [--port N] [--folder DIR] - a simulated provider and a coordinator on this machine, to try
# weir by hand: in the foreground, until Ctrl-C or until one of them ends. `./dev up` calls it.
#
# The provider listens on 127.0.0.1:7450, the coordinator on a socket in build/up, where its
# configuration is written, too. (Port 7448 is kept for the coordinator's admin page of a later
# version.) Both start afresh each time. WEIR_BIN names the folder of the programs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=${WEIR_BIN:-build/bin}
port=7450
folder=build/up
model=gemini-2.5-flash
rpm=60 tpm=100k rpd=1000

while [ $# -gt 0 ]; do
  case $1 in
    --port | --folder) ;;
    *)
      echo "up.sh: unknown argument '$1'; usage: up.sh [--port N] [--folder DIR]" >&2
      exit 2
      ;;
  esac
  if [ $# -lt 2 ]; then
    echo "up.sh: $1 needs a value; usage: up.sh [--port N] [--folder DIR]" >&2
    exit 2
  fi
  case $1 in
    --port) port=$2 ;;
    --folder) folder=$2 ;;
  esac
  shift 2
done
for program in weir-upstream weir-coordinator; do
  if [ ! -x "$bin/$program" ]; then
    echo "up.sh: $bin/$program is not there; run ./dev build first" >&2
    exit 1
  fi
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
endpoint=ipc://$folder/weir.sock

cat >"$folder/weir.yaml" <<YAML
# Written by tests/demo/up.sh for ./dev up.
listen: $endpoint
state: $folder/weir.state
providers:
  gemini: {kind: gemini}
pools:
  - name: flash
    provider: gemini
    models: [$model]
    limits: {rpm: $rpm, tpm: $tpm, rpd: $rpd}
    classes: {batch: {floor: 10%}}
routes:
  fast: gemini/$model
YAML
for i in {1..20}; do
  printf '{"key":"sample-%02d","request":{"contents":[{"role":"user","parts":[{"text":"Say in one sentence what the number %d is known for."}]}],"generationConfig":{"maxOutputTokens":64}}}\n' "$i" "$i"
done >"$folder/sample.jsonl"
# The provider forgets what was spent, so the coordinator may, too.
rm -f "$folder/weir.state" "$folder/answers.jsonl"

declare -A pids=() outputs=()

# start NAME COMMAND... runs a part with its output in a pipe of ours.
start() {
  local name=$1 pipe=$folder/$1.pipe output
  shift
  rm -f "$pipe"
  mkfifo "$pipe"
  "$@" >"$pipe" 2>&1 </dev/null &
  pids[$name]=$!
  exec {output}<"$pipe"
  outputs[$name]=$output
  rm -f "$pipe"
}

# await NAME WORD shows the output of a part until WORD says that it is ready; that line is $ready.
# From then on its output goes on in the background, and its end is told in $ended.
await() {
  local line
  while read -r -t 20 line <&"${outputs[$1]}"; do
    printf '%-12s| %s\n' "$1" "$line"
    if [[ $line == *"$2"* ]]; then
      ready=$line
      {
        sed -u "s/^/$(printf '%-12s| ' "$1")/"
        echo "$1" >&"$ended"
      } <&"${outputs[$1]}" &
      return 0
    fi
  done
  echo "up.sh: $1 did not start" >&2
  exit 1
}

# shellcheck disable=SC2317 # it is called by the trap
stop() {
  trap - EXIT
  trap '' INT TERM
  for name in "${!pids[@]}"; do kill -TERM "${pids[$name]}" 2>/dev/null || true; done
  wait || true
}
trap stop EXIT
trap 'exit 0' INT TERM

# Not `wait -n`: it forgets what ended before it began to wait.
rm -f "$folder/ended.pipe"
mkfifo "$folder/ended.pipe"
exec {ended}<>"$folder/ended.pipe"
rm -f "$folder/ended.pipe"

start upstream "$bin/weir-upstream" --listen "127.0.0.1:$port" --latency-ms 300..1500 \
  --limit "rpm=$rpm,tpm=$tpm,rpd=$rpd"
await upstream 'listening on '
url=${ready#listening on }
start coordinator "$bin/weir-coordinator" --config "$folder/weir.yaml"
await coordinator 'event=ready'

cat <<TEXT

Everything is up. To try, in another terminal (any key will do):

  curl -s $url/v1beta/models/$model:generateContent -H 'x-goog-api-key: demo' \\
    -H 'content-type: application/json' -d '{"contents":[{"parts":[{"text":"Hello"}]}]}'

  WEIR_COORDINATOR=$endpoint $bin/weir stats

  GEMINI_API_KEY=demo WEIR_COORDINATOR=$endpoint $bin/weir batch $folder/sample.jsonl \\
    -o $folder/answers.jsonl --model $model --base-url $url

Ctrl-C stops everything.

TEXT

read -r name <&"$ended"
status=0
wait "${pids[$name]}" || status=$?
unset "pids[$name]"
echo "up.sh: $name ended by itself with status $status; stopping the rest" >&2
exit 1
