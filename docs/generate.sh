#!/bin/sh
# Make the manual of the public API, from its template docs/muster.3.in and the comments of the headers.
#
# usage: docs/generate.sh > docs/muster.3
#        docs/generate.sh --check      exit 1 if the kept manual is another, or any page is not good mdoc
#        docs/generate.sh --self-test  check that what is wrong is found
set -eu
cd "$(dirname "$0")/.."
script=$PWD/docs/generate.awk

# The manual of the tree in the current folder. Each line "@x.h" of the template stands for include/muster/x.h.
generate() {
	failed=0
	for header in include/muster/*.h; do
		if grep -q '^MUSTER_API ' "$header" && ! grep -qx "@${header##*/}" docs/muster.3.in; then
			echo "$header: not in docs/muster.3.in" >&2
			failed=1
		fi
	done
	while IFS= read -r line; do
		case $line in
		@*) awk -f "$script" include/muster/*.h pass=2 "include/muster/${line#@}" || failed=1 ;;
		*) printf '%s\n' "$line" ;;
		esac
	done <docs/muster.3.in
	return $failed
}

check() {
	fresh=$(mktemp)
	failed=0
	if ! generate >"$fresh"; then
		failed=1
	elif ! diff -u docs/muster.3 "$fresh"; then
		echo 'docs/muster.3 is not what the headers say: docs/generate.sh > docs/muster.3'
		failed=1
	elif command -v mandoc >/dev/null && ! mandoc -T lint -W warning docs/*.[1-8]; then
		failed=1
	fi
	rm -f "$fresh"
	return $failed
}

# header LINE... - a tree whose only header has these lines, and its manual.
header() {
	{
		echo '/* muster/x.h - all about x. */'
		printf '%s\n' "$@"
	} >include/muster/x.h
	generate >docs/muster.3 2>errors || return 1
}

# must COMMAND... - it succeeds; must_not COMMAND... - it fails.
must() { "$@" >said 2>&1 || { echo "failed: $*" && cat said && bad=$((bad + 1)); }; }
must_not() { if "$@" >said 2>&1; then echo "did not fail: $*" && bad=$((bad + 1)); fi; }

self_test() {
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	cd "$tree"
	mkdir -p include/muster docs
	bad=0
	a='MUSTER_API int muster_a(int b);'
	c='MUSTER_API int muster_c(void);'
	printf '%s\n' '.Dd November 23, 2026' '.Dt X 3' '.Os' '.Sh NAME' '.Nm x' '.Nd x' '.Sh X' '@x.h' >docs/muster.3.in

	must header '/* Does a. */' "$a" '' '/*' ' * Does c,' ' * and how. -EINVAL.' ' */' "$c"
	must grep -qx '\.Fo muster_a' docs/muster.3
	must grep -qx '\.Fa "int b"' docs/muster.3
	must grep -qx 'Does c, and how\.' docs/muster.3
	must grep -qx '\.Er \\-EINVAL \.' docs/muster.3
	must check
	must header '/* Both. */' "$a" "$c"
	must header '/* Does a. */' 'MUSTER_API int muster_a_sized(int b,' '	size_t size);' '' \
		'static inline int muster_a(int b)' '{' '	return muster_a_sized(b, 0);' '}'
	must grep -qx '\.Fo muster_a' docs/muster.3
	must grep -qx '\.Fo muster_a_sized' docs/muster.3
	must check

	must header '/* A type. */' 'struct muster_x {' '	int x; /* in two' '	        * lines */' '	/*' '	 * Above.' '	 */' \
		'	const char *y;' '	union {' '		int z;' '	} u;' '};'
	must grep -qx '\.It Vt "int" Fa x' docs/muster.3
	must grep -qx 'in two lines' docs/muster.3
	must grep -qx '\.It Vt "const char \*" Ns Fa y' docs/muster.3
	must grep -qx 'Above\.' docs/muster.3
	must grep -qx '\.It Vt "int" Fa u\.z' docs/muster.3

	must_not header "$a"
	must grep -qx 'include/muster/x.h:2: muster_a has no comment above it' errors
	must_not header '/* Apart. */' '' "$a"
	must_not header '/* Does a. */' "$a" '' "$c"
	must grep -qx 'include/muster/x.h:5: muster_c has no comment above it' errors
	must_not header '/* A type. */' 'struct muster_x {' '	int a;' '};' "$a"
	must_not header '/* A type. */' 'struct muster_x;' "$a"

	must header '/* Does a. */' "$a"
	must check
	echo '/* Another a. */' >>docs/muster.3
	must_not check
	must header '/* Does a. */' "$a"
	sed 's/Does/Makes/' include/muster/x.h >new && mv new include/muster/x.h
	must_not check
	must header '/* Does a. */' "$a"
	sed s/x/y/ include/muster/x.h >include/muster/y.h
	must_not check
	must_not header '/* Does a. */' "$a"
	must grep -qx 'include/muster/y.h: not in docs/muster.3.in' errors

	echo "manual: self-test: $bad failed"
	[ $bad = 0 ]
}

case ${1:-} in
'') generate ;;
--check) check ;;
--self-test) self_test ;;
*)
	echo 'usage: docs/generate.sh [--check | --self-test]' >&2
	exit 2
	;;
esac
