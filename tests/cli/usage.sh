#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program without a command: help, version, words it does not know.
. "$(dirname "$0")/../lib/cli.sh"

check_ok "$snowboot" --version
check_stdout '^snowboot [0-9]+\.[0-9]+\.[0-9]+$'

check_ok "$snowboot" --help
check_stdout '^Usage: snowboot COMMAND'

check_fails 2 "snowboot: unknown command 'xyzzyxyzzy'
hint: see 'snowboot --help'" "$snowboot" xyzzyxyzzy
