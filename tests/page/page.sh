#!/usr/bin/env bash
# page.sh BIN FOLDER - a provider, a coordinator and a batch under way, and the dashboard in Debian's
# Chromium, driven by Playwright from the npm registry. 77: it cannot run here.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$1
mkdir -p "$2"
cd "$2"
skip() {
  echo "page.sh: skipped: $1"
  exit 77
}
command -v "${CHROMIUM:-chromium}" >/dev/null || skip "needs chromium"
command -v npm >/dev/null || skip "needs Node.js and npm"
if [ ! -d node_modules/playwright-core ]; then
  npm install --silent --no-audit --no-fund --prefix . playwright-core@1 >/dev/null 2>&1 ||
    skip "the npm registry cannot be reached"
fi
cp "$source/tests/page/page.mjs" .

pids=()
# shellcheck disable=SC2317 # it is called by the trap
stop() {
  kill "${pids[@]}" 2>/dev/null || true
  wait || true
}
trap stop EXIT
rm -f ./*.txt ./*.jsonl weir.state* port
await() { # FILE TEXT
  local line
  while read -r line; do
    if [[ $line == *"$2"* ]]; then return 0; fi
  done < <(timeout 20 tail -n +1 -F "$1" 2>/dev/null)
  cat "$1"
  return 1
}

"$bin/weir-upstream" --latency-ms 300..900 --limit rpm=600,rpd=100000 >upstream.txt 2>&1 &
pids+=($!)
await upstream.txt 'listening on '
upstream=$(sed -n 's/^listening on //p' upstream.txt)
cat >weir.yaml <<YAML
listen: ipc://$PWD/weir.sock
admin: http://127.0.0.1:0
state: $PWD/weir.state
providers: {gemini: {kind: gemini}}
pools:
  - {name: flash, provider: gemini, models: [gemini-2.5-flash], limits: {rpm: 600, rpd: 100k, spend_day: 50},
     price: {input: 300, output: 300}}
  - {name: pro, provider: gemini, models: [gemini-2.5-pro], limits: {rpm: 100, tpm: 1M}}
YAML
"$bin/weir-coordinator" --config weir.yaml >coordinator.txt 2>&1 &
pids+=($!)
coordinator=$!
await coordinator.txt event=ready
port=$(sed -n 's/.*event=admin .*port=\([0-9]*\).*/\1/p' coordinator.txt)
for i in {1..3000}; do
  echo "{\"key\":\"$i\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"Name a river.\"}]}]}}"
done >in.jsonl
WEIR_COORDINATOR=ipc://$PWD/weir.sock GEMINI_API_KEY=demo "$bin/weir" batch in.jsonl -o out.jsonl \
  --model gemini-2.5-flash --base-url "$upstream" >batch.txt 2>&1 &
pids+=($!)
timeout 120 node page.mjs "http://127.0.0.1:$port/" "$bin/weir" "ipc://$PWD/weir.sock" "$PWD" "$coordinator"
