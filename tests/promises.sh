#!/bin/sh
# Check that docs/net.md, docs/cluster.md and docs/failures.md promise nothing unproved: each row of their tables names tests,
# or says that it is not built, and each test that is named anywhere in them exists and belongs to a case. And nothing that
# the headers offer is left out: each public function is named, without its prefix and without "_sized".
#
#	`src/server: some_name`  is  START_TEST(some_name) in tests/src/test_server.c, with a tcase_add_*test for it
#
# usage: tests/promises.sh              check this tree; exit 1 if something is missing
#        tests/promises.sh --self-test  check that each kind of gap is found
set -eu
cd "$(dirname "$0")/.."
pages='docs/net.md docs/cluster.md docs/failures.md'

# has_test FILE NAME
has_test() {
	[ -f "$1" ] && grep -q "^START_TEST($2)" "$1" &&
		tr -s '\n\t ' '   ' <"$1" | grep -Eq "tcase_add_[a-z_]*test(_raise_signal)?\([a-z_A-Z0-9]+, ?$2[,)]"
}

# named PAGE - the tests that it names, each once: "folder/file name".
named() {
	# shellcheck disable=SC2016 # the backquotes are those of the page
	grep -Eo '`[a-z_]+/[a-z_0-9]+: [A-Za-z_0-9]+`' "$1" | tr -d '`:' | sort -u
}

# rows PAGE - prints its rows that prove nothing, and at last how many rows there are. A row without a last column is a gap as well.
rows() {
	awk -F '|' '
	!/^\|/ { header = 1; next }
	header == 1 { header = 2; next }
	header == 2 { header = 0; next }
	{ rows++ }
	$(NF - 1) !~ /`[a-z_]+\/[a-z_0-9]+: [A-Za-z_0-9]+`/ && $(NF - 1) !~ /^ not built/ {
		printf "%s:%d: neither a test nor \"not built\"\n", FILENAME, FNR
	}
	END { print rows + 0 }' "$1"
}

# check_page PAGE - adds to `all` and `missing`.
check_page() {
	rows=$(rows "$1")
	gaps=$(echo "$rows" | sed '$d')
	rows=$(echo "$rows" | tail -n 1)
	if [ -n "$gaps" ]; then
		echo "$gaps"
		missing=$((missing + $(echo "$gaps" | wc -l)))
	fi
	all=$((all + rows))
	while read -r place name; do
		[ -n "$place" ] || continue
		file=tests/${place%/*}/test_${place##*/}.c
		has_test "$file" "$name" && continue
		echo "$1: $place: $name: no such test in $file, or in none of its cases"
		missing=$((missing + 1))
	done <<-EOT
		$(named "$1")
	EOT
	if [ "$rows" -eq 0 ]; then
		echo "$1: no rows"
		empty=1
	fi
}

# functions - the public ones, as the pages name them.
functions() {
	[ -d include/muster ] || return 0
	sed -n 's/^MUSTER_API [^(]*[ *]muster_\([a-z_0-9]*\)(.*/\1/p' include/muster/*.h | sed 's/_sized$//' | sort -u
}

# check_functions - adds to `missing`.
check_functions() {
	for function in $(functions); do
		# shellcheck disable=SC2086 # $pages is a list
		grep -Eq "\`(muster_)?${function}[\`,]" $pages && continue
		echo "muster_$function: in none of $pages"
		missing=$((missing + 1))
	done
}

check() {
	all=0
	missing=0
	empty=0
	for page in $pages; do
		check_page "$page"
	done
	check_functions
	echo "promises: $all rows, $missing missing"
	[ "$missing" -eq 0 ] && [ "$empty" -eq 0 ]
}

# page LINE... - a docs/net.md with these rows; and write_page FILE LINE..., any.
page() {
	write_page docs/net.md "$@"
}

write_page() {
	file=$1
	shift
	{
		printf '# Page\n\n| Node | C | Proved by |\n|---|---|---|\n'
		printf '%s\n' "$@"
	} >"$file"
}

# expect STATUS LAST-LINE WHAT - run check; it must end so.
expect() {
	status=0
	(check) >report 2>&1 || status=1
	if [ "$status" != "$1" ] || [ "$(tail -n 1 report)" != "$2" ]; then
		echo "$3: wanted $1, \"$2\", got $status:" && cat report
		failed=$((failed + 1))
	fi
	ran=$((ran + 1))
}

# shellcheck disable=SC2016 # the backquotes are those of a page
self_test() {
	pages='docs/net.md docs/cluster.md'
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	cd "$tree"
	failed=0
	ran=0
	mkdir -p docs tests/src include/muster
	cat >tests/src/test_a.c <<-'EOT'
		START_TEST(plain)
		START_TEST(in_a_loop)
		START_TEST(on_two_lines)
		START_TEST(in_no_case)
		START_TEST(plain_and_more)
			tcase_add_test(one, plain);
			tcase_add_loop_test(one, in_a_loop, 0, 2);
			tcase_add_loop_test(one,
					    on_two_lines, 0, 2);
			tcase_add_test(one, plain_and_more);
			tcase_add_test(one, never_begun);
	EOT
	write_page docs/cluster.md '| a | b | `src/a: plain` |'
	page '| a | b | `src/a: plain` |' '| a | b | `src/a: in_a_loop`, `src/a: on_two_lines` |' '| c | | not built |'
	expect 0 'promises: 4 rows, 0 missing' 'a good page'
	page '| a | b | `src/a: plain`, `src/a: none_of_that_name` |'
	expect 1 'promises: 2 rows, 1 missing' 'a test that is not there'
	page '| a | b | `src/b: plain` |'
	expect 1 'promises: 2 rows, 1 missing' 'a file that is not there'
	page '| a | b | `src/a: in_no_case` |' '| a | b | `src/a: never_begun` |'
	expect 1 'promises: 3 rows, 2 missing' 'a test that is half there'
	page '| a | b | `src/a: plain_and` |' '| a | b | `src/a: lain` |'
	expect 1 'promises: 3 rows, 2 missing' 'a part of a name'
	page '| a | b | |' '| a | b | surely |' '| a | `src/a: plain` | |'
	expect 1 'promises: 4 rows, 3 missing' 'rows without a proof'
	page '| a | b | `src/a: plain` |' '' 'And `src/a: missing_in_the_text`.'
	expect 1 'promises: 2 rows, 1 missing' 'a test named outside the tables'
	page
	expect 1 'promises: 1 rows, 0 missing' 'a page without rows'
	page '| a | b | `src/a: plain` |'
	write_page docs/cluster.md '| a | b | `src/a: none` |' '| a | | |'
	expect 1 'promises: 3 rows, 2 missing' 'gaps in the other page'
	write_page docs/cluster.md
	expect 1 'promises: 1 rows, 0 missing' 'another page without rows'
	write_page docs/cluster.md '| a | `b_open` | `src/a: plain` |'
	echo 'MUSTER_API struct b *muster_b_open_sized(int c);' >include/muster/b.h
	expect 0 'promises: 2 rows, 0 missing' 'a function that is named'
	echo 'MUSTER_API bool muster_b_ope(int c);' >>include/muster/b.h
	expect 1 'promises: 2 rows, 1 missing' 'a function that is not named'
	echo "promises: self-test of $ran pages: $failed failed"
	[ "$failed" -eq 0 ]
}

case ${1:-} in
'') check ;;
--self-test) self_test ;;
*)
	echo "usage: tests/promises.sh [--self-test]" >&2
	exit 2
	;;
esac
