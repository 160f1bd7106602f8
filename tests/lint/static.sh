#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Stage 1 runs where there is nothing else: it asks for no dynamic loader, and nothing in it looks up names, users or starts
# threads. Usage: static.sh STAGE1
set -euo pipefail

problems=0
problem() {
	printf '%s: %s\n' "$1" "$2"
	problems=1
}

[ -f "$1" ] || { echo "no such file: $1" && exit 1; }
headers=$(readelf -lW "$1")
! grep -q INTERP <<<"$headers" || problem "$1" 'asks for a dynamic loader'
# The program itself has no symbols: what its objects ask of libraries.
symbols=$(nm -u "$1".p/*.o | awk '$1 == "U" { print $2 }')
[ -n "$symbols" ] || problem "$1" 'has no objects to look at'
for banned in getaddrinfo gethostbyname getpwnam getpwuid getgrnam pthread_create iconv_open; do
	! grep -qx "$banned" <<<"$symbols" || problem "$1" "calls $banned()"
done
size=$(stat -c %s "$1")
[ "$size" -le $((2 << 20)) ] || problem "$1" "$size bytes are more than 2 MiB"
exit $problems
