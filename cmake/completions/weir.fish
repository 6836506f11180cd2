# Completion of weir for fish. Commands and options are what `weir help` says, so they never differ.
function __weir_commands
    weir help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  *\(.*\)/\1\t\2/p'
end
function __weir_options
    weir help (commandline -opc)[2] 2>/dev/null | grep -o -e '--[a-z][a-z-]*' | sort -u
end
complete -c weir -n __fish_use_subcommand -f -a '(__weir_commands)'
complete -c weir -n '__fish_seen_subcommand_from help' -f -a '(__weir_commands)'
complete -c weir -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__weir_options)'
