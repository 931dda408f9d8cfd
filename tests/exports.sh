#!/bin/sh
# Check that a library exports the functions that the headers declare MUSTER_API, and nothing else.
#
# usage: tests/exports.sh LIBRARY      exit 1 if a function is missing, or something else is there
#        tests/exports.sh --self-test  check that both are found; CC is the compiler, else cc
set -eu
LC_ALL=C
export LC_ALL

declared() {
	awk '
	/^MUSTER_API / { decl = ""; open = 1 }
	open { decl = decl " " $0 }
	open && match(decl, /[a-z0-9_]+\(/) { print substr(decl, RSTART, RLENGTH - 1); open = 0 }
	' include/muster/*.h | sort
}

# Without what the linker itself defines in some of its versions.
exported() {
	nm -D --defined-only "$1" |
		awk '{ sub(/@.*/, "", $NF) } $NF !~ /^(_init|_fini|_edata|_end|__bss_start)$/ { print $NF }' | sort
}

# check LIBRARY - of the headers in the current folder.
check() {
	lists=$(mktemp -d)
	declared >"$lists/declared"
	exported "$1" >"$lists/exported"
	{
		comm -23 "$lists/declared" "$lists/exported" | sed 's/$/: declared, and not exported/'
		comm -13 "$lists/declared" "$lists/exported" | sed 's/$/: exported, and not declared/'
	} >"$lists/wrong"
	cat "$lists/wrong"
	echo "exports: $(wc -l <"$lists/declared") functions declared, $(wc -l <"$lists/wrong") wrong"
	bad=1
	if [ -s "$lists/declared" ] && [ ! -s "$lists/wrong" ]; then bad=0; fi
	rm -rf "$lists"
	return $bad
}

# library CODE - a library of this code.
library() {
	echo "$1" | "${CC:-cc}" -fvisibility=hidden -fPIC -shared -x c -o x.so -
}

# wants COUNT CODE - so many things are wrong with the library.
wants() {
	library "$2"
	status=0
	check ./x.so >report || status=1
	if [ $status != $(($1 > 0)) ] || ! grep -q ", $1 wrong\$" report; then
		echo "$1 wrong wanted: $2"
		cat report
		failed=1
	fi
}

self_test() {
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	cd "$tree"
	mkdir -p include/muster
	failed=0
	cat >include/muster/x.h <<'END'
MUSTER_API int muster_a(int x, int (*done)(int));
MUSTER_API const struct muster_long_name *
muster_b(void);
static inline int muster_c(void)
END
	api='__attribute__((visibility("default")))'

	wants 0 "$api int muster_a(void){return 0;} $api int muster_b(void){return 0;} int hidden(void){return 0;}"
	wants 1 "$api int muster_a(void){return 0;}"
	wants 1 "$api int muster_a(void){return 0;} int muster_b(void){return 0;}"
	wants 1 "$api int muster_a(void){return 0;} $api int muster_b(void){return 0;} $api int muster_c(void){return 0;}"
	wants 1 "$api int muster_a(void){return 0;} $api int muster_b(void){return 0;} $api int variable;"
	wants 2 "$api int muster_a(void){return 0;} $api int muster__b(void){return 0;}"
	echo "exports: self-test of 6 libraries: $failed failed"
	return $failed
}

case ${1:-} in
--self-test) self_test ;;
'' | -*)
	echo "usage: tests/exports.sh LIBRARY | --self-test" >&2
	exit 2
	;;
*)
	library=$(realpath "$1")
	cd "$(dirname "$0")/.."
	check "$library"
	;;
esac
