#!/usr/bin/env bash
# names.sh COORDINATOR FOLDER - the rules and the dashboard in docs/monitoring name metrics that a real
# coordinator serves, and no other; promtool, where it is installed, checks rules and metrics.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
coordinator=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
cat >weir.yaml <<YAML
listen: ipc://$PWD/weir.sock
admin: http://127.0.0.1:0
state: $PWD/weir.state
providers: {gemini: {kind: gemini}}
budgets: {project: {limits: {rpm: 5000}}}
pools:
  - {name: flash, provider: gemini, models: [gemini-2.5-flash], limits: {rpm: 1000}, budgets: project}
YAML
: >log.txt # whoever waits for a line of it may come before the coordinator
"$coordinator" --config weir.yaml 2>>log.txt &
pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true' EXIT
while read -r line; do
  if [[ $line == *event=ready* ]]; then break; fi
done < <(tail --pid="$pid" -n +1 -f log.txt)
port=$(sed -n 's/.*event=admin .*port=\([0-9]*\).*/\1/p' log.txt)
curl -fsS "http://127.0.0.1:$port/metrics" >metrics.txt

sed -n 's/^# TYPE \(weir_[a-z0-9_]*\) .*/\1/p' metrics.txt | sort -u >served.txt
grep -ohE '\bweir_[a-z0-9_]+' "$source"/docs/monitoring/*.yml "$source"/docs/monitoring/grafana/*.json |
  sort -u >named.txt
if [ ! -s served.txt ] || [ ! -s named.txt ]; then
  echo "names.sh: nothing is served, or nothing is named" >&2
  exit 1
fi
if ! comm -13 served.txt named.txt | sed 's/^/names.sh: no such metric: /' | { ! grep . >&2; }; then
  exit 1
fi
python3 -m json.tool "$source/docs/monitoring/grafana/weir.json" >/dev/null
if command -v promtool >/dev/null; then
  promtool check metrics <metrics.txt
  promtool check rules "$source/docs/monitoring/alerts.rules.yml"
  promtool test rules "$source/tests/monitoring/rules.test.yml"
fi
