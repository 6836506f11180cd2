#!/usr/bin/env bash
# record.sh [OPTION...] - makes the demo's workload, build/demo/workload.jsonl, unless it is there
# and newer than what makes it. Options are workload.pl's; with any of them it is always made.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
maker=tests/demo/workload.pl
workload=build/demo/workload.jsonl

if [ $# -eq 0 ]; then
  if [ "$workload" -nt "$maker" ]; then
    echo "record: $workload is up to date"
    exit 0
  fi
  mkdir -p "$(dirname "$workload")"
  set -- --out "$workload"
fi
exec perl "$maker" "$@"
