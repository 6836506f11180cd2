# Completion of weir for bash. Commands and options are what `weir help` says, so they never differ.
_weir() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$(weir help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
  elif [[ $word == -* ]]; then
    words=$(weir help "$command" 2>/dev/null | grep -o -e '--[a-z][a-z-]*' | sort -u)
  elif [ "$command" = help ]; then
    words=$(weir help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
  fi
  mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$word")
}
complete -o default -F _weir weir
