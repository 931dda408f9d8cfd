#!/bin/sh
# Do what the guides in docs/ say, as a reader would: from an installed muster, block by block, in one shell for each page.
#
#	```console       commands after "$ ", and what they print; a command that ends in & has to print that in time
#	```json NAME     a file of that name; json, c, cmake, ini or sh alike
#	```text, ```sh   to be read: not run
#
# In what is printed a number of four digits or more stands for any such number, a time for any time, blanks for any blanks,
# and … for anything: in a line, or, alone, for any lines. A status other than 0 has to be shown by a following "echo $?".
#
# usage: tests/guides.sh BUILD         run all pages against what BUILD installs; 77, which ctest calls skipped, if it cannot
#        tests/guides.sh --self-test   check that what is wrong on a page is found
#        tests/guides.sh --page PAGE   what the first does inside: run one page, here
# shellcheck disable=SC2317 # functions are called by what is sourced
set -eu
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
source=$(dirname "$(dirname "$self")")

# steps PAGE FOLDER - take a page apart: NNN.cmd with NNN.out, or NNN.file with NNN.name; and where it stood, NNN.at.
steps() {
	awk -v folder="$2" '
	function step(kind) {
		base = sprintf("%s/%03d.", folder, ++count)
		print FILENAME ":" FNR >(base "at")
		close(base "at")
		printf "" >(base kind)
	}
	block == "" && /^```/ {
		block = substr($1, 4)
		if (block == "console" || block == "text" || (block == "sh" && NF == 1)) {
			command = ""
		} else if (NF == 2 && block ~ /^(json|c|cmake|ini|sh)$/) {
			step("file")
			print $2 >(base "name")
		} else {
			printf "%s:%d: a block that is neither run nor to be read: %s\n", FILENAME, FNR, $0
			bad = 1
		}
		named = NF == 2
		next
	}
	/^```/ { block = ""; named = 0; next }
	block == "console" && /^\$ / {
		step("cmd")
		printf "" >(base "out")
		$0 = substr($0, 3)
		command = 1
	}
	block == "console" && command {
		print >(base "cmd")
		command = /\\$/
		next
	}
	block == "console" { print >(base "out") }
	named { print >(base "file") }
	END { exit bad }
	' "$1"
}

# matches EXPECTED GOT [begin] - does the one describe the other; with "begin", or its beginning?
matches() {
	awk -v begin="${3:-}" '
	function plain(text) {
		gsub(/[0-9]+-[0-9]+-[0-9]+T[0-9:.]+Z/, "TIME", text)
		gsub(/[0-9][0-9][0-9][0-9]+/, "NUMBER", text)
		gsub(/[ \t]+/, " ", text)
		sub(/ $/, "", text)
		return text
	}
	function line_matches(want, got, pieces, n, i, at) {
		n = split(want, pieces, "…")
		if (n < 2)
			return want == got
		if (substr(got, 1, length(pieces[1])) != pieces[1])
			return 0
		for (i = 1; i <= n; i++) {
			at = index(got, pieces[i])
			if (pieces[i] != "" && at == 0)
				return 0
			got = pieces[i] == "" ? got : substr(got, at + length(pieces[i]))
		}
		return pieces[n] == "" || got == ""
	}
	FILENAME == ARGV[1] { want[++wanted] = plain($0); next }
	{ got[++have] = plain($0) }
	END {
		for (w = g = 1; w <= wanted; w++) {
			if (want[w] == "…") {
				any = 1
				continue
			}
			while (any && g <= have && !line_matches(want[w], got[g]))
				g++
			any = 0
			if (g > have || !line_matches(want[w], got[g]))
				exit 1
			g++
		}
		exit !(any || begin != "" || g > have)
	}' "$1" "$2"
}

# Looking changes nothing, and what is looked for may take a moment.
is_a_look() {
	grep -Eq '^(sudo )?(musterctl .*(status|workers|listeners)|journalctl|systemctl (status|show|is-active)|tail|pgrep|ls) ?' "$1"
}

# tell STEP WHY - it failed: what was expected, and what came.
tell() {
	echo "$(cat "$1.at"): \$ $(cat "$1.cmd")"
	echo "--- $2. Expected:"
	cat "$1.out"
	echo "--- Got:"
	cat "$1.got"
	exit 1
}

# Each command is sourced: folders, variables and jobs are those of one shell, and so is what $? is.
run_command() {
	set +e
	(exit "$status")
	# shellcheck disable=SC1090
	. "$1.cmd" >"$1.got" 2>&1
	status=$?
	set -e
}

# await STEP [begin] - until its output matches; a look is repeated, what runs in the background goes on by itself.
await() {
	for _ in $(seq 200); do
		! matches "$1.out" "$1.got" "${2:-}" || return 0
		sleep 0.05
		[ -n "${2:-}" ] || run_command "$1"
	done
	tell "$1" "not in ten seconds"
}

run_step() {
	if [ -e "$1.file" ]; then
		cp "$1.file" "$(cat "$1.name")"
		return
	fi
	run_command "$1"
	if grep -q '&$' "$1.cmd"; then
		await "$1" begin
	elif is_a_look "$1.cmd"; then
		await "$1"
	else
		matches "$1.out" "$1.got" || tell "$1" "what it prints is something else"
	fi
}

# run_page PAGE - here, in the current folder.
run_page() {
	steps=$(mktemp -d)
	steps "$1" "$steps" || exit 1
	[ -e "$steps/001.at" ] || { echo "$1: nothing to run" && exit 1; }
	status=0
	for at in "$steps"/*.at; do
		if [ "$status" -ne 0 ] && [ "$(cat "${at%.at}.cmd" 2>/dev/null)" != "echo \$?" ]; then
			tell "$before" "status $status"
		fi
		before=${at%.at}
		run_step "$before"
	done
	[ "$status" -eq 0 ] || tell "$before" "status $status"
	echo "ok: $1, $(find "$steps" -name '*.cmd' | wc -l) commands"
	rm -rf "$steps"
}

# ---- A reader's machine: a network of his own, and, installed, what was built.

# Here it is root who reads, and what he installs goes to a folder.
sudo() {
	"$@"
}

ldconfig() {
	:
}

# An installation in $tree that compilers, pkg-config and cmake find.
use_tree() {
	export DESTDIR="$tree" PATH="$tree$prefix/sbin:$tree$prefix/bin:$PATH"
	libraries=$(dirname "$(dirname "$(find "$tree" -name muster.pc)")")
	export PKG_CONFIG_PATH="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$tree"
	export LD_LIBRARY_PATH="$libraries" CMAKE_PREFIX_PATH="$tree$prefix"
}

# in_room COMMAND... - with ports and processes of its own, whose numbers look like numbers, and an end of all of them.
in_room() {
	set -- sh -c 'ip link set lo up && echo 5000 >/proc/sys/kernel/ns_last_pid && exec "$@"' sh "$@"
	unshare --net --pid --fork --mount-proc --kill-child "$@"
}

run_in_room() {
	mkdir "$work"
	ln -s "$build" "$work/build"
	in_room env prefix="$prefix" tree="$tree" sh -c "cd '$work' && exec '$self' --page '$1'"
}

# The page of systemd has one, with all in its place.
run_in_lab() {
	# shellcheck source=tests/support/lab.sh
	. "$source/tests/support/lab.sh"
	missing=$(lab_missing)
	[ "$prefix" = /usr/local ] || missing="its paths are those of the prefix /usr/local"
	version=$(/lib/systemd/systemd --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	if [ -n "$missing" ]; then
		echo "skipped: $1: $missing"
		return
	fi
	LAB_SHARE=$tree/share
	mkdir "$LAB_SHARE"
	chmod 755 "$tree" "$LAB_SHARE"
	cp "$self" "$1" "$LAB_SHARE"
	trap 'lab_down; rm -rf "$tree" "$work"' EXIT
	lab_up
	tar -C "$tree" --exclude=./share -c . | lab tar -C / -x --no-overwrite-dir
	lab ldconfig
	if [ "$version" -lt 253 ]; then # as the page says
		# shellcheck disable=SC2016
		lab sh -c 'for unit in muster muster@; do
			mkdir -p "/etc/systemd/system/$unit.service.d"
			cp "$(find /usr -name systemd-252.conf | head -n 1)" "/etc/systemd/system/$unit.service.d/252.conf"
		done'
	fi
	lab systemctl daemon-reload
	lab sh -c "PATH=$prefix/sbin:$prefix/bin:\$PATH && cd /root && exec /lab-share/guides.sh --page /lab-share/${1##*/}"
	lab_down
}

skip() {
	echo "skipped: $*"
	exit 77
}

run_all() {
	build=$(cd "$1" && pwd)
	! grep -q -- '-fsanitize' "$build/CMakeCache.txt" || skip "what is built with a checker cannot be linked to"
	[ "$(id -u)" = 0 ] || skip "not root"
	in_room true 2>/dev/null || skip "no namespaces"
	for tool in ip nc cc cmake pkg-config curl pgrep; do
		command -v "$tool" >/dev/null || skip "no $tool"
	done
	prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[^=]*=//p' "$build/CMakeCache.txt")
	tree=$(mktemp -d)
	work=$tree.work
	trap 'rm -rf "$tree" "$work"' EXIT
	DESTDIR=$tree cmake --install "$build" >"$tree/log" 2>&1 || { cat "$tree/log" && exit 1; }
	rm "$tree/log"
	for page in operator library; do
		run_in_room "$source/docs/guide-$page.md"
		rm -rf "$work"
	done
	run_in_lab "$source/docs/guide-systemd.md"
}

# ---- The test of this test.

# finds STATUS LAST-LINE WHAT - run page.md; it must end so.
finds() {
	got=0
	(trap - EXIT && run_page page.md) >report 2>&1 || got=1
	if [ "$got" != "$1" ] || ! tail -n 1 report | grep -qF -- "$2"; then
		echo "$3: wanted $1, \"$2\", got $got:" && cat report
		failed=$((failed + 1))
	fi
	ran=$((ran + 1))
}

# page LINE... - page.md, with one block of commands.
page() {
	{ printf '```console\n' && printf '%s\n' "$@" && printf '```\n'; } >page.md
}

# shellcheck disable=SC2016 # for the shell of the page
self_test() {
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	cd "$folder"
	failed=0
	ran=0
	page '$ echo one; echo two' 'one' 'two' '$ a=3' '$ echo $a' '3'
	finds 0 'ok: page.md, 3 commands' 'a good page'
	page '$ echo one' 'two'
	finds 1 'one' 'other output'
	page '$ echo one'
	finds 1 'one' 'output that is not on the page'
	page '$ true' 'one'
	finds 1 '--- Got:' 'output that does not come'
	page '$ false'
	finds 1 '--- Got:' 'a failure that is not shown'
	page '$ false' '$ true'
	finds 1 '--- Got:' 'a failure in the midst'
	page '$ (exit 3)' '$ echo $?' '3'
	finds 0 'ok: page.md, 2 commands' 'a failure that is shown'
	page '$ echo 4711 and 8080' '1234 and 9999'
	finds 0 'ok: page.md, 1 commands' 'numbers'
	page '$ echo 471' '472'
	finds 1 '471' 'small numbers'
	page '$ printf "a b c\nd\n"' 'a … c' 'd'
	finds 0 'ok: page.md, 1 commands' 'anything in a line'
	page '$ printf "a b d\n"' 'a … c'
	finds 1 'a b d' 'not everything'
	page '$ printf "a\nb\nc\n"' '…' 'c'
	finds 0 'ok: page.md, 1 commands' 'any lines'
	page '$ printf "a\nb\nc\n"' 'a' '…'
	finds 0 'ok: page.md, 1 commands' 'any lines at the end'
	page '$ printf "a\nb\n"' '…' 'c'
	finds 1 'b' 'lines that are not there'
	page '$ (sleep 0.2; echo late) &' 'late' '$ wait'
	finds 0 'ok: page.md, 2 commands' 'the background'
	page "\$ echo a \\" '    b' 'a b'
	finds 0 'ok: page.md, 1 commands' 'a command on two lines'
	printf '```json x.json\n{}\n```\nText.\n```console\n$ cat x.json\n{}\n```\n' >page.md
	finds 0 'ok: page.md, 1 commands' 'a file'
	printf '```\nls\n```\n' >page.md
	finds 1 'neither run nor to be read' 'a block without a kind'
	printf '```text\nls\n```\n' >page.md
	finds 1 'nothing to run' 'a page without commands'
	echo "guides: self-test of $ran pages: $failed failed"
	[ "$failed" -eq 0 ]
}

case ${1:-} in
--self-test) self_test ;;
--page)
	[ -z "${tree:-}" ] || use_tree
	run_page "$2"
	;;
'' | -*)
	echo "usage: tests/guides.sh BUILD | --self-test | --page PAGE" >&2
	exit 2
	;;
*) run_all "$1" ;;
esac
