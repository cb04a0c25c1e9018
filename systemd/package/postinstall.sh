#!/bin/sh
# After an installation or an upgrade, of a .deb and of an .rpm. Nothing is
# started that is not configured; what runs is restarted into the new version.
set -e
case "$1" in
configure | 1 | 2) ;;
*) exit 0 ;; # abort-upgrade and the like: what is there is as it was
esac
systemd-sysusers scim-bridge.conf
# As tmpfiles.d has them, which does nothing where /proc is not mounted.
install -d -m 0750 -o root -g scim-bridge /etc/scim-bridge
install -d -m 0700 -o root -g root /etc/scim-bridge/secrets
install -d -m 0700 -o scim-bridge -g scim-bridge /var/lib/scim-bridge
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	systemctl try-restart scim-bridge.service 'scim-bridge@*.service' || true
fi
if [ ! -e /etc/scim-bridge/config.yaml ] && { [ "$1" = 1 ] || [ -z "$2" ]; }; then
	echo "scim-bridge is installed and not running. Next:"
	echo "  scim-bridge demo     shows what it does, without a tenant"
	echo "  scim-bridge setup    writes /etc/scim-bridge/config.yaml"
	echo "  systemctl enable --now scim-bridge"
fi
