#!/bin/sh
# Before a removal; an upgrade (deb: upgrade, rpm: 1) leaves it running.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now scim-bridge.service scim-bridge.socket 'scim-bridge@*.service' || true
	fi
	;;
esac
