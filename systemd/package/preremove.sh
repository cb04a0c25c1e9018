#!/bin/sh
# Before a removal; an upgrade (deb: upgrade, rpm: 1) leaves it running.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl stop scim-bridge.socket scim-bridge.service 'scim-bridge@*.service' || true
	fi
	if command -v systemctl >/dev/null; then
		# Of a template this takes the links of all instances.
		systemctl --no-reload disable scim-bridge.service scim-bridge.socket scim-bridge@.service || true
	fi
	;;
esac
