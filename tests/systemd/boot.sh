#!/usr/bin/env bash
# Boots this machine's systemd in namespaces of its own, over a copy of the root file
# system that is thrown away, and has it run trial.sh. For
#
#   unshare --mount --pid --cgroup --ipc --uts --fork --kill-child boot.sh WORK
#
# WORK/in has what the trial is about, WORK/out gets what it finds; the network is
# that of the caller. Nothing of it reaches the machine itself. ROOT is another root
# file system to boot, such as an older distribution's.
set -e
work=$1
root=${ROOT:-/}
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/root"
mkdir "$work/root/upper" "$work/root/work" "$work/root/new"
new=$work/root/new
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/root/upper,workdir=$work/root/work" "$new"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t tmpfs tmpfs "$new/run"
mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
for node in null zero full random urandom tty; do
	touch "$new/dev/$node"
	mount --bind "/dev/$node" "$new/dev/$node"
done
mkdir "$new/dev/pts" "$new/dev/shm" "$new/trial"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
mount -t tmpfs tmpfs "$new/dev/shm"
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	ln -s "/proc/self/${link#*:}" "$new/dev/${link%:*}"
done
mount -t cgroup2 none "$new/sys/fs/cgroup"
mount --bind "$work" "$new/trial"

# Nothing of this machine's own services.
rm -rf "$new"/etc/systemd/system/*.wants "$new"/usr/lib/systemd/system/*.wants
cat >"$new/etc/systemd/system/trial.target" <<-U
	[Unit]
	Requires=trial.service
U
cat >"$new/etc/systemd/system/trial.service" <<-U
	[Unit]
	DefaultDependencies=no
	[Service]
	Type=oneshot
	TimeoutStartSec=6min
	StandardOutput=file:/trial/out/log
	StandardError=file:/trial/out/log
	ExecStart=/bin/bash /trial/in/trial.sh
	ExecStopPost=/bin/systemctl --force --force poweroff
U
cd "$new"
mkdir old
pivot_root . old
umount -l /old
mount --make-rshared / # in a container systemd leaves that to whoever made it; credentials need it
exec env -i container=trial PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=trial.target --log-target=console --show-status=no </dev/null
