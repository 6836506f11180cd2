#!/usr/bin/env bash
# example.sh FILE - prints the first C program in a Markdown file: the first block that is marked
# as C and has a main().
set -euo pipefail

awk '
  /^```c[[:space:]]*$/ { is_in = 1; block = ""; next }
  /^```/ && is_in {
    is_in = 0
    if (block ~ /int main\(/) { printf "%s", block; is_found = 1; exit }
    next
  }
  is_in { block = block $0 "\n" }
  END { if (!is_found) exit 1 }
' "$1" || {
  echo "example.sh: $1 holds no C program (a block marked \`\`\`c with a main)" >&2
  exit 1
}
