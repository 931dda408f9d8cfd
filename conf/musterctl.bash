# bash completion for musterctl(1); its own help tells the commands.
_musterctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} commands
	case $before in
	-c | --config | -s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	log-level)
		mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-c --config -s --socket --json --wait -h --help --version' -- "$word")
		return
	fi
	commands=$("${COMP_WORDS[0]}" --help 2>/dev/null | awk '/^$/ { part++; next } part == 1 { print $1 }')
	mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
}
complete -F _musterctl musterctl
