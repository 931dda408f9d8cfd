#!/bin/sh
# Run a test program with another Node than the machine's, which npm brings once; without it the program is not run.
#
# usage: tests/node/newer.sh VERSION FOLDER PROGRAM [ARGUMENT...]
#        FOLDER keeps what npm has brought; 77 is the status of a test that was skipped
set -eu
version=$1 folder=$2/node-$1
shift 2

skip() {
	echo "node $version is not here: $1; the test is skipped"
	exit 77
}

case $(uname -m) in
x86_64) machine=x64 ;;
aarch64) machine=arm64 ;;
*) skip "no binary for $(uname -m)" ;;
esac
package=node-linux-$machine
bin=$folder/node_modules/$package/bin

# Several tests begin at once: one of them installs. Where that has failed it is not tried again for an hour.
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ ! -x "$bin/node" ]; then
	command -v npm >/dev/null || skip 'there is no npm to bring it'
	[ -z "$(find "$folder/failed" -mmin -60 2>/dev/null)" ] || skip "npm could not bring it: see $folder/failed"
	npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts --fetch-retries=0 --fetch-timeout=30000 \
		"$package@$version" >"$folder/failed" 2>&1 || skip "npm could not bring it: see $folder/failed"
	rm -f "$folder/failed"
fi
exec 9>&-
PATH=$bin:$PATH
export PATH
echo "node $(node --version)"
exec "$@"
