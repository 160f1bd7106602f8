#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Completion, as bash itself runs it.
. "$(dirname "$0")/../lib/cli.sh"

check_fails 2 "snowboot: no completion for the shell 'tcsh'
hint: there is one for bash, zsh and fish" "$snowboot" completion tcsh
check_fails 2 "snowboot: 'snowboot completion' needs SHELL
hint: see 'snowboot completion --help'" "$snowboot" completion
check_fails 2 '{"error":"unknown option '"'--nonsense'"'","kind":"usage","hint":"see '"'snowboot completion --help'"'"}' \
	"$snowboot" completion --json --nonsense

# complete WORD…: what bash offers for the last word.
complete_words() {
	"$snowboot" completion bash >"$tmp/completion"
	bash -c '
		. "$1"
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_snowboot
		printf "%s\n" "${COMPREPLY[@]}" | grep . | sort -u | paste -sd" "
	' bash "$tmp/completion" "$@"
}

check_equal 'command' "$(complete_words snowboot comp)" 'completion'
check_equal 'shells' "$(complete_words snowboot completion '')" 'bash fish zsh'
check_equal 'options' "$(complete_words snowboot completion --)" '--help --json --quiet --verbose'

# Every command of the table can be completed, and nothing else.
from_help=$("$snowboot" --help | sed -n 's/^  \([a-z]\+\) .*/\1/p' | sort -u | paste -sd' ')
check_equal 'commands' "$(complete_words snowboot '' | tr ' ' '\n' | grep -v '^--' | paste -sd' ')" "$from_help"
"$snowboot" completion fish >"$tmp/fish"
grep -q "complete -c snowboot .* -a completion" "$tmp/fish" || fail 'fish lacks a command'
"$snowboot" completion zsh >"$tmp/zsh"
grep -q bashcompinit "$tmp/zsh" || fail 'zsh lacks its head'
