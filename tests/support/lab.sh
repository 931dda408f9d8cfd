# shellcheck shell=sh
# tests/support/lab.sh - sourced: a systemd of our own, as process 1 of namespaces that nothing else is in. What it sees of the
# machine is a copy that lives in memory and goes with it.
#
#	lab_missing     prints what this machine lacks for it; nothing if all is there
#	lab_up          boots it; 0 once it runs
#	lab CMD...      runs a command inside
#	lab_down        ends it, all of it
#
# /lab-share is the folder $LAB_SHARE of the machine.

lab_missing() {
	[ "$(id -u)" = 0 ] || { echo "not root" && return; }
	[ -x /lib/systemd/systemd ] || { echo "no systemd" && return; }
	for tool in unshare nsenter pivot_root ip; do
		command -v "$tool" >/dev/null || { echo "no $tool" && return; }
	done
	grep -qw overlay /proc/filesystems || { echo "no overlay file system" && return; }
	unshare --mount --pid --fork --net --cgroup true 2>/dev/null || { echo "no namespaces" && return; }
	lab_cgroups >/dev/null || echo "no second hierarchy of control groups that can be written to"
}

# Where groups can be made that a systemd can call its own.
lab_cgroups() {
	for lab_top in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		if [ -w "$lab_top/cgroup.procs" ] && mkdir "$lab_top/muster-probe.$$" 2>/dev/null; then
			rmdir "$lab_top/muster-probe.$$"
			echo "$lab_top"
			return 0
		fi
	done
	return 1
}

# The parts of a machine that a systemd expects, around a copy of this one's files; then it takes the place of the shell.
# shellcheck disable=SC2016 # the text is for the shell inside
lab_inside='
set -e
share=$1 systemd=/lib/systemd/systemd
mount -t tmpfs lab /mnt
mkdir /mnt/changes /mnt/work /mnt/root
mount -t overlay lab -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work /mnt/root
cd /mnt/root
for folder in run tmp dev; do mount -t tmpfs lab $folder; done
chmod 755 run dev
mkdir -p lab-share && mount --bind "$share" lab-share
mount -t proc lab proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro lab sys
mount -t cgroup2 lab sys/fs/cgroup
for device in null zero full random urandom tty; do
	: >dev/$device
	mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 lab dev/pts
mount -t tmpfs lab dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s fd/${number%:*} dev/${number#*:}; done
ip link set lo up
hostname lab
: >etc/machine-id
rm -rf etc/systemd/system/*.wants
ln -sf /dev/null etc/systemd/system/systemd-modules-load.service
mkdir lab-old
pivot_root . lab-old
exec chroot . /bin/sh -c "umount -l /lab-old
	exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
		$systemd --system --unit=basic.target --log-target=console --log-level=notice"
'

lab_up() {
	lab_group=$(lab_cgroups)/muster-lab.$$
	mkdir "$lab_group"
	(
		# A process of the group, and its root: what is made inside is below.
		sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$lab_group" \
			setsid unshare --mount --pid --fork --cgroup --uts --ipc --net --propagation private --kill-child=KILL \
			sh -c "$lab_inside" lab "$LAB_SHARE" >"$LAB_SHARE/boot.log" 2>&1 </dev/null &
		echo $! >"$LAB_SHARE/outer.pid"
	)
	lab_outer=$(cat "$LAB_SHARE/outer.pid")
	for _ in $(seq 100); do
		lab_init=$(tr -d ' ' <"/proc/$lab_outer/task/$lab_outer/children" 2>/dev/null)
		case $([ -n "$lab_init" ] && lab systemctl is-system-running 2>/dev/null) in
		running | degraded) return 0 ;;
		esac
		kill -0 "$lab_outer" 2>/dev/null || break
		sleep 0.1
	done
	cat "$LAB_SHARE/boot.log" >&2
	return 1
}

lab() {
	sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$lab_group" \
		nsenter -t "$lab_init" -m -p -C -u -i -n -r -w \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SYSTEMD_PAGER= "$@"
}

# The first process takes all others of its namespace with it, and each mount.
lab_down() {
	[ -n "${lab_outer:-}" ] || return 0
	kill -KILL "$lab_outer" 2>/dev/null || true
	for _ in $(seq 50); do
		find "$lab_group" -depth -type d -exec rmdir {} + 2>/dev/null && break
		sleep 0.1
	done
	lab_outer=
}
