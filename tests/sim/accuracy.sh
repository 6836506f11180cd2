#!/bin/sh
# accuracy.sh FILE - the tables of docs/ACCURACY.md from the rows of the accuracy scenario:
#
#   build/bin/weir simulate tests/sim/scenarios/accuracy.yaml --json >rows.jsonl
#   tests/sim/accuracy.sh rows.jsonl
#
# A row for each scheme and number of instances, the methods as columns. Baselines are shown for 100
# and 1,000 instances. Needs a POSIX awk.
set -eu

if [ $# -ne 1 ] || [ ! -r "$1" ]; then
  echo "usage: tests/sim/accuracy.sh FILE (rows of weir simulate --json)" >&2
  exit 2
fi

awk '
# The value of a member; rows are flat and hold nothing that is escaped.
function member(name, at, rest) {
  at = index($0, "\"" name "\":")
  if (!at)
    return ""
  rest = substr($0, at + length(name) + 3)
  sub(/[,}].*/, "", rest)
  gsub(/"/, "", rest)
  return rest
}

function seconds(ms) { return sprintf(ms < 9950 ? "%.1f" : "%.0f", ms / 1000) }

# Remembers |value| in the order in which values come.
function note(list, value) {
  if (!(value in is_known)) {
    is_known[value] = 1
    list[++list[0]] = value
  }
}

# The words of a row: methods that gave the same are not told apart.
function row_show(workload, limits, scheme, fleet, m, key, line) {
  line = "| `" scheme "` | " fleet
  for (m = 1; m <= methods[0]; m++) {
    key = workload SUBSEP limits SUBSEP scheme SUBSEP fleet SUBSEP methods[m]
    if (!(key in cell))
      return
    line = line " | " cell[key]
  }
  print line " |"
}

function table(workload, limits, title, s, f, m, line, rule) {
  print ""
  print title
  print ""
  line = "| scheme | N"
  rule = "|---|---"
  for (m = 1; m <= methods[0]; m++) {
    line = line " | " methods[m]
    rule = rule "|---"
  }
  print line " |"
  print rule "|"
  for (s = 1; s <= schemes[0]; s++)
    for (f = 1; f <= fleets[0]; f++)
      if (schemes[s] ~ /^weir-/ || fleets[f] == 100 || fleets[f] == 1000)
        row_show(workload, limits, schemes[s], fleets[f])
}

member("row") == "run" {
  note(schemes, member("scheme"))
  note(methods, member("method"))
  note(fleets, member("instances"))
  note(sets, member("limits"))
  key = member("workload") SUBSEP member("limits") SUBSEP member("scheme") SUBSEP \
        member("instances") SUBSEP member("method")
  calls = member("calls") + 0
  lost = member("failed") + member("unfinished")
  used = member("utilisation")
  if (member("workload") == "backlog")
    cell[key] = member("rejected_429") " / " (used == "null" ? "-" : sprintf("%.1f", used * 100))
  else
    cell[key] = member("rejected_429") " / " seconds(member("wait_p50_ms")) " / " \
                seconds(member("wait_p99_ms"))
  if (lost > 0 && lost * 1000 >= calls)
    cell[key] = cell[key] sprintf(" (%.1f lost)", lost / calls * 100)
  jitter = member("jitter_ms")
  runs++
}

END {
  if (!runs) {
    print "accuracy.sh: no rows in the file" >"/dev/stderr"
    exit 1
  }
  printf "%d runs; J = %g ms.\n", runs, jitter
  for (i = 1; i <= sets[0]; i++)
    table("backlog", sets[i], "### Backlog, " sets[i] ": 429s / used, %")
  for (i = 1; i <= sets[0]; i++)
    table("bursty", sets[i], "### Bursts, " sets[i] ": 429s / wait p50, s / p99, s")
}' "$1"
