#!/bin/sh
# Check that includes run one way:
#
#	tests -> anything     master -> ipc -> src -> include/muster     worker -> ipc -> src
#
# usage: tests/includes.sh              check this tree; exit 1 if a line is wrong
#        tests/includes.sh --self-test  check that each kind of wrong line is found
set -eu
cd "$(dirname "$0")/.."

# Prints each wrong line of the tree in the current folder, then what was read.
check() {
	# shellcheck disable=SC2016 # the dollars are those of awk
	find include src ipc master worker tests examples bench -name '*.[ch]' 2>/dev/null | sort | xargs awk '
	BEGIN {
		# folder -> the folders whose headers it may include, by "folder/header.h"
		may["src"] = "src"
		may["ipc"] = "ipc src"
		may["master"] = "master ipc src"
		may["worker"] = "worker ipc src"
		may["tests"] = "tests master worker ipc src"
		may["bench"] = "bench"
		may["include"] = may["examples"] = ""  # they see what a user sees: <muster/...>
		# After fork() the code of the primary becomes that of the worker: the one bridge.
		bridge["master/spawn.c", "worker/worker.h"]

		split("master/bequest.c master/complain.c master/commands.c master/config.c master/ctl.c master/ctl_ask.c " \
		      "examples/module_hello.c master/ctl_print.c master/dump.c master/origin.c master/reader.c master/session.c master/source.c master/status.c " \
		      "worker/status_http.c worker/status_metrics.c", list)
		for (i in list) jansson[list[i]]
		# sys/types.h for pid_t, which C does not have.
		split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign " \
		      "stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar " \
		      "wchar wctype sys/types", list)
		for (i in list) public["<" list[i] ".h>"]
	}
	function wrong(why) { printf "%s:%d: %s: %s\n", FILENAME, FNR, what, why; bad++ }
	function has(words, word) { return index(" " words " ", " " word " ") > 0 }

	FNR == 1 { files++; split(FILENAME, part, "/"); folder = part[1] }
	!/^[ \t]*#[ \t]*include/ { next }
	{
		lines++
		what = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "", what)
		if (!match(what, /^(<[^>]+>|"[^"]+")/)) { wrong("neither <header> nor \"folder/header\""); next }
		what = substr(what, 1, RLENGTH)
		name = substr(what, 2, RLENGTH - 2)
		split(name, part, "/")
	}
	what ~ /^"/ && name !~ /\// { wrong("our own headers are named from the top folder"); next }
	what ~ /^"/ && (FILENAME SUBSEP name) in bridge { next }
	what ~ /^"/ && !has(may[folder], part[1]) { wrong(folder " does not include " part[1]); next }
	folder == "include" && what ~ /^</ && part[1] != "muster" && !(what in public) { wrong("a public header needs muster and standard C alone"); next }
	what == "<jansson.h>" && !(FILENAME in jansson) && !has("ipc tests", folder) { wrong("JSON is read elsewhere"); next }
	END {
		printf "includes: %d lines in %d files read, %d wrong\n", lines, files, bad
		exit bad > 0 || files == 0
	}'
}

# put FILE INCLUDE - a file whose second line is that include.
put() {
	mkdir -p "$(dirname "$1")"
	printf '/* x */\n#include %s\n' "$2" >"$1"
}

# Each line: a file and what it includes.
allowed='include/muster/a.h <muster/b.h>
include/muster/c.h <stddef.h>
include/muster/pid.h <sys/types.h>
src/a.c "src/a.h"
src/b.c <event2/event.h>
src/c.c <muster/loop.h>
ipc/a.c "src/loop.h"
ipc/b.c "ipc/channel.h"
ipc/c.c <jansson.h>
master/a.c "ipc/channel.h"
master/b.c "src/loop.h"
master/config.c <jansson.h>
master/session.c <jansson.h>
master/ctl.c <jansson.h>
master/spawn.c "worker/worker.h"
worker/a.c "ipc/channel.h"
worker/b.c "src/loop.h"
examples/a.c <muster/muster.h>
tests/src/test_a.c "tests/support/loop.h"
tests/ipc/test_a.c "master/cluster.h"
tests/ipc/test_b.c "worker/worker.h"
tests/ipc/test_c.c <jansson.h>'
forbidden='include/muster/x.h <event2/event.h>
include/muster/xa.h <jansson.h>
include/muster/xb.h "src/loop.h"
include/muster/xc.h <unistd.h>
src/x.c "ipc/channel.h"
src/xa.c "master/cluster.h"
src/xb.c "worker/worker.h"
src/xc.c <jansson.h>
src/xd.c "xd.h"
src/xe.c "../ipc/channel.h"
src/xf.c SOME_MACRO
ipc/x.c "master/cluster.h"
ipc/xa.c "worker/worker.h"
ipc/xb.c "tests/support/loop.h"
master/x.c "worker/worker.h"
master/main.c <jansson.h>
master/spawn.h "worker/worker.h"
worker/x.c "master/cluster.h"
worker/xa.c <jansson.h>
examples/x.c "src/loop.h"
examples/xa.c "muster/muster.h"
examples/xb.c <jansson.h>
tests/src/test_x.c "support/loop.h"'

self_test() {
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	cd "$tree"
	failed=0

	echo "$allowed" | while read -r file what; do put "$file" "$what"; done
	check >report || { echo "an allowed line was reported:" && cat report && failed=1; }

	echo "$forbidden" | while read -r file what; do put "$file" "$what"; done
	check >report && echo "exit status 0 though lines were wrong" && failed=1
	for file in $(echo "$forbidden" | cut -d ' ' -f 1); do
		grep -q "^$file:2: " report || { echo "not reported: $file: $(tail -n 1 "$file")" && failed=1; }
	done
	wanted=$(echo "$forbidden" | wc -l)
	grep -q ", $wanted wrong\$" report || { echo "$wanted wrong lines wanted:" && cat report && failed=1; }

	echo "includes: self-test of $(echo "$allowed" | wc -l) allowed and $wanted forbidden lines: $failed failed"
	return $failed
}

case ${1:-} in
'') check ;;
--self-test) self_test ;;
*)
	echo "usage: tests/includes.sh [--self-test]" >&2
	exit 2
	;;
esac
