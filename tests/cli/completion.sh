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

# Values of options, also of their short forms; the groups' commands; files and folders.
check_equal 'values' "$(complete_words snowboot serve --root '')" 'auto copy net ram'
check_equal 'values of a short option' "$(complete_words snowboot build initrd -m '')" 'all minimal netboot'
check_equal 'behind a flag' "$(complete_words snowboot copy --no-check-sigs --comp)" '--compression'
check_equal 'a group' "$(complete_words snowboot build '')" 'initrd netboot squashfs uki'
mkdir -p "$tmp/files/folder" "$tmp/bin"
touch "$tmp/files/with a blank"
check_equal 'files' "$(cd "$tmp/files" && complete_words snowboot copy --key '')" 'folder with a blank'
check_equal 'folders' "$(cd "$tmp/files" && complete_words snowboot copy --to '')" 'folder'

# The same by the other two, at a terminal.
ln -s "$snowboot" "$tmp/bin/snowboot"
for shell in zsh fish; do command -v "$shell" >/dev/null || skip "needs $shell"; done
# typed SHELL WORDS: what stands there when the words were typed and completed.
typed() {
	HOME=$tmp PATH=$tmp/bin:$PATH TERM=dumb python3 - "$@" <<'PYTHON'
import os, pty, re, select, sys, time
shell, words = sys.argv[1:]
start = {"zsh": (["zsh", "-f", "-i"], 'PS1="ready> "; eval "$(snowboot completion zsh)"'),
         "fish": (["fish", "--no-config"], "function fish_prompt; echo 'ready> '; end; snowboot completion fish | source")}
pid, fd = pty.fork()
if pid == 0:
    os.execvp(start[shell][0][0], start[shell][0])

def read(until, seconds):
    text, end = "", time.monotonic() + seconds
    while time.monotonic() < end and not re.search(until, text):
        if select.select([fd], [], [], 0.1)[0]:
            text += os.read(fd, 65536).decode(errors="replace")
    return text

read("[>%#$] ?$", 5)
os.write(fd, (start[shell][1] + "; echo so far\\ so good\n").encode())
before = read("so far so good", 20)
assert "so far so good" in before, before
time.sleep(0.5)
os.write(fd, (words + "\t").encode())
text = read("(?!)", 2)
print(text)
os.kill(pid, 9)
PYTHON
}
for shell in zsh fish; do
	typed "$shell" 'snowboot serve --any' >"$tmp/typed"
	grep -q -- '--any-system' "$tmp/typed" || fail "$shell completes an option as: $(cat "$tmp/typed")"
	typed "$shell" 'snowboot build netb' >"$tmp/typed"
	grep -q 'netboot' "$tmp/typed" || fail "$shell completes a command as: $(cat "$tmp/typed")"
done
"$snowboot" completion fish >"$tmp/fish"
check_ok fish --no-execute "$tmp/fish"
check_equal 'what fish says' "$(cat "$tmp/stderr")" ''
check_equal 'what fish offers' "$(PATH=$tmp/bin:$PATH HOME=$tmp fish --no-config -c "source $tmp/fish; complete -C 'snowboot serve --root '" | cut -f1 | sort | paste -sd' ')" \
	'auto copy net ram'
