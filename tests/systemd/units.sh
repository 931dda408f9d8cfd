#!/bin/sh
# Check the units that are shipped: systemd understands each line, and finds little to attack.
#
# usage: tests/systemd/units.sh FOLDER    of the build, with musterd and the units
set -eu
build=$(cd "$1" && pwd)
worst=25 # of 100: the exposure that systemd-analyze security counts

if ! command -v systemd-analyze >/dev/null; then
	echo "skipped: there is no systemd-analyze"
	exit 77
fi
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')

for unit in muster.service muster@.service muster.socket; do
	sed -E "s,^(Exec[A-Za-z]*=)[^ ]*/(musterd|musterctl),\1$build/\2," "$build/conf/$unit" >"$tree/$unit"
done
cp "$tree/muster@.service" "$tree/muster@one.service"
# What is old gets what is shipped for it.
if [ "$version" -lt 253 ]; then
	for unit in muster.service muster@.service muster@one.service; do
		mkdir "$tree/$unit.d"
		sed -E "s,^(Exec[A-Za-z]*=)[^ ]*/musterctl,\1$build/musterctl," "$build/conf/systemd-252.conf" >"$tree/$unit.d/252.conf"
		sed -i 's/^Type=notify-reload$/Type=notify/' "$tree/$unit"
	done
fi

failed=0
for unit in muster.service muster@one.service muster.socket; do
	report=$(systemd-analyze verify --man=no "$tree/$unit" 2>&1) || failed=1
	# The machine's own units are not what is looked at.
	if echo "$report" | grep -F "$tree"; then
		failed=1
	fi
done
for unit in muster.service muster@one.service; do
	systemd-analyze security --offline=yes --threshold=$worst --no-pager "$tree/$unit" >"$tree/report" || failed=1
	tail -n 1 "$tree/report"
	[ "$failed" = 0 ] || grep '✗' "$tree/report" || true
done
exit $failed
