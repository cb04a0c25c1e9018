#!/bin/sh
# After a removal. Settings and state stay; a purge (deb) takes them, for the
# state is personal data. The user stays, as what it may own elsewhere does.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/scim-bridge /etc/scim-bridge
fi
