#!/bin/sh
# Tries the .deb in a Debian chroot: install, upgrade, remove, purge. As root:
#
#   debootstrap --variant=minbase --include=ca-certificates,systemd bookworm CHROOT
#   systemd/package/try.sh CHROOT OLD.deb NEW.deb
set -eu
chroot=$1
cp "$2" "$chroot/tmp/old.deb"
cp "$3" "$chroot/tmp/new.deb"
inside() { chroot "$chroot" "$@"; }
expect() { # what it is, then a command that has to succeed
	what=$1
	shift
	if inside "$@" >/dev/null 2>&1; then echo "ok: $what"; else
		echo "FAILED: $what"
		exit 1
	fi
}
inside dpkg -i /tmp/old.deb
expect "its user is there" id scim-bridge
expect "its directories are its own" sh -c '[ "$(stat -c %U:%G:%a /etc/scim-bridge /etc/scim-bridge/secrets /var/lib/scim-bridge | tr "\n" " ")" = "root:scim-bridge:750 root:root:700 scim-bridge:scim-bridge:700 " ]'
expect "it runs" scim-bridge version
expect "the manual is there" test -s /usr/share/man/man8/scim-bridge.8.gz
inside sh -c 'echo "# mine" >/etc/scim-bridge/config.yaml; echo state >/var/lib/scim-bridge/scim-bridge.db'
inside dpkg -i /tmp/new.deb
expect "an upgrade keeps settings and state" grep -q mine /etc/scim-bridge/config.yaml
expect "and they are still there" test -s /var/lib/scim-bridge/scim-bridge.db
inside dpkg -r scim-bridge
expect "a removal takes the program" sh -c '! test -e /usr/bin/scim-bridge && ! test -e /usr/lib/systemd/system/scim-bridge.service'
expect "and keeps settings and state" test -s /etc/scim-bridge/config.yaml -a -s /var/lib/scim-bridge/scim-bridge.db
inside dpkg -i /tmp/old.deb
expect "another installation finds them" grep -q mine /etc/scim-bridge/config.yaml
inside dpkg -P scim-bridge
expect "a purge takes everything" sh -c '! test -e /etc/scim-bridge && ! test -e /var/lib/scim-bridge'
