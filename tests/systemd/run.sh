#!/bin/sh
# musterd under a real systemd, from the units that are shipped: ready, activated, watched, killed, reloaded, stopped.
#
# usage: tests/systemd/run.sh FOLDER    of the build, with musterd, musterctl and the units
#
# Says so and ends well where there is no root or no systemd to boot: 77, which ctest calls skipped.
# shellcheck disable=SC2317 # functions are called by their names
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
. tests/support/lab.sh

missing=$(lab_missing)
if [ -n "$missing" ]; then
	echo "skipped: $missing"
	exit 77
fi

LAB_SHARE=$(mktemp -d)
trap 'lab_down; rm -rf "$LAB_SHARE"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$LAB_SHARE"
failed=0

fail() {
	echo "FAILED: $1"
	failed=1
	lab journalctl -u muster.service -o cat --no-pager -n 30 || true
	lab systemctl status muster.service --no-pager -n 0 || true
}

# is PROMISE EXPECTED COMMAND...
is() {
	promise=$1 expected=$2
	shift 2
	got=$("$@" 2>&1) || true
	if [ "$got" = "$expected" ]; then echo "ok: $promise"; else fail "$promise: \"$got\" instead of \"$expected\""; fi
}

# soon PROMISE COMMAND...: for at most ten seconds
soon() {
	promise=$1
	shift
	for _ in $(seq 100); do
		if "$@" >/dev/null 2>&1; then
			echo "ok: $promise"
			return
		fi
		sleep 0.1
	done
	fail "$promise"
}

show() {
	lab systemctl show muster.service --property="$1" --value
}

shows() {
	[ "$(show "$1")" = "$2" ]
}

# What comes back from the echo at a port, once there is something.
echoed() {
	lab timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && echo hello >&3 && read -r line <&3 && echo \"\$line\""
}

configure() {
	printf '{ "workers": 2, "listeners": [ %s ], "applications": { "echo": { "builtin": "echo" } } }\n' "$1" \
		>"$LAB_SHARE/muster.json"
}

low='{ "name": "low", "port": 80, "application": "echo" }'
activated='{ "name": "activated", "fd_name": "echo", "application": "echo" }'
version=$(/lib/systemd/systemd --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')

# ---- What the units say, but for where things are, and for times that nobody wants to wait for.
cp "$build/musterd" "$build/musterctl" "$LAB_SHARE"
for unit in muster.service muster.socket systemd-252.conf; do
	sed -E 's,^(Exec[A-Za-z]*=)[^ ]*/(musterd|musterctl),\1/lab-share/\2,; s,-c [^ ]*/muster.json,-c /lab-share/muster.json,' \
		"$build/conf/$unit" >"$LAB_SHARE/$unit"
done
cat >"$LAB_SHARE/test.conf" <<'END'
[Unit]
StartLimitIntervalSec=0
[Service]
WatchdogSec=2
TimeoutAbortSec=1
RestartSec=1
Environment=ASAN_OPTIONS=detect_leaks=0
END

lab_up
lab mkdir -p /etc/systemd/system/muster.service.d
lab cp /lab-share/muster.service /lab-share/muster.socket /etc/systemd/system
lab cp /lab-share/test.conf /etc/systemd/system/muster.service.d
[ "$version" -ge 253 ] || lab cp /lab-share/systemd-252.conf /etc/systemd/system/muster.service.d/252.conf
lab systemctl daemon-reload

# ---- Started.
configure "$low"
is "it starts, and is ready when systemctl returns" "" lab systemctl start muster.service
is "it is active" active lab systemctl is-active muster.service
is "a user who is nobody serves port 80" hello echoed 80
pid=$(show MainPID)
is "the primary is not root" "" lab sh -c "grep '^Uid:.*[[:space:]]0[[:space:]]' /proc/$pid/status"
is "it has one capability" 0000000000000400 lab sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$pid/status"
soon "the status counts" shows StatusText "serving: 2 of 2 workers ready, 0 connections"
is "the control socket answers" serving lab sh -c "/lab-share/musterctl -s /run/muster/control.sock --json status |
	grep -o '\"state\": *\"[a-z]*\"' | head -1 | sed 's/.*\"\\([a-z]*\\)\"$/\\1/'"

# ---- Killed: who comes meanwhile waits in the queue that systemd kept.
lab systemctl kill --signal=KILL --kill-whom=main muster.service
is "a connection to a primary that was killed is served by the next" hello echoed 80
is "it was restarted once" 1 show NRestarts
is "and is another process" yes sh -c "[ '$pid' != '$(show MainPID)' ] && echo yes"

# ---- Hung: the watchdog sees it.
lab systemctl kill --signal=STOP --kill-whom=main muster.service
soon "a primary that hangs is restarted" shows NRestarts 2
soon "and active again" lab systemctl is-active muster.service
is "and serves" hello echoed 80

# ---- Reloaded.
configure "$low, { \"name\": \"new\", \"port\": 8080, \"application\": \"echo\" }"
pid=$(show MainPID)
is "it reloads" "" lab systemctl reload muster.service
is "what is new is served when systemctl returns" hello echoed 8080
echo '{' >"$LAB_SHARE/muster.json"
lab systemctl reload muster.service >/dev/null 2>&1 || true
is "the status tells of a reload that failed" yes sh -c "case '$(show StatusText | tr -d "'")' in *'reload failed'*) echo yes ;; esac"
is "and all goes on" hello echoed 8080
is "in the same process" "$pid" show MainPID

# ---- Stopped.
is "it stops" "" lab systemctl stop muster.service
is "and did so by itself" success show Result
is "nothing of it is left" "" lab sh -c "ls /run/muster 2>/dev/null; pgrep -x musterd"

# ---- Activated.
configure "$activated"
lab systemctl start muster.socket
is "the socket alone does not start it" inactive lab systemctl is-active muster.service
is "the first connection does, and is served" hello echoed 7000
is "the next one too" hello echoed 7000
is "it is active then" active lab systemctl is-active muster.service
# With a word about the socket, which stays.
lab systemctl stop muster.service 2>/dev/null
is "the service stops without it" "inactive
active" lab systemctl is-active muster.service muster.socket
is "so that it is started again" hello echoed 7000

[ "$failed" = 0 ] && echo "systemd $version: all well"
exit $failed
