#!/bin/sh
# Runs inside a Debian that was booted for it, as root: the life of the package
# from its installation to its purge, with the daemon under systemd. /try has the
# packages and what the set-up needs; the verdicts go to /try/verdicts.
set -u
exec >/try/log 2>&1
expect() { # what it is, then a command that has to succeed
	what=$1
	shift
	if "$@"; then echo "ok: $what" >>/try/verdicts; else echo "FAILED: $what" >>/try/verdicts; fi
}
refuse() { # the same, of a command that has to fail
	what=$1
	shift
	if "$@"; then echo "FAILED: $what" >>/try/verdicts; else echo "ok: $what" >>/try/verdicts; fi
}
is() { # a command's output
	got=$(eval "$1" 2>&1)
	[ "$got" = "$2" ] || {
		echo "$1 gives '$got', not '$2'"
		return 1
	}
}
has() { eval "$1" 2>&1 | grep -e "$2"; }
property() { systemctl show -P "$1" scim-bridge.service; }
imported() { # waits until the daemon has imported
	for _ in $(seq 60); do
		scim-bridge status | tee /try/status.txt | grep -q 'up to date' && return 0
		sleep 1
	done
	cat /try/status.txt
	return 1
}

expect "it installs" dpkg -i /try/old.deb
expect "its user is there" id scim-bridge
expect "its directories are its own" is "stat -c %U:%G:%a /etc/scim-bridge /etc/scim-bridge/secrets /var/lib/scim-bridge | xargs" \
	"root:scim-bridge:750 root:root:700 scim-bridge:scim-bridge:700"
expect "its version is stamped" has "scim-bridge version" '^scim-bridge 0\.9\.0 '
expect "the manual is there" test -s /usr/share/man/man8/scim-bridge-setup.8.gz
expect "systemd takes its units" systemd-analyze --man=no verify /usr/lib/systemd/system/scim-bridge.service /usr/lib/systemd/system/scim-bridge.socket
expect "it is enabled" systemctl enable --now scim-bridge
expect "without a configuration nothing fails" is "property ActiveState; property ConditionResult" "inactive
no"

install -m 0600 -o scim-bridge /try/contoso.secret /etc/scim-bridge/contoso.secret
expect "it is set up" sh -c "xargs -a /try/flags scim-bridge setup --non-interactive --source contoso --client-secret-file contoso.secret --expose local >/try/setup.txt"
expect "the configuration is safe" is "stat -c %U:%G:%a /etc/scim-bridge/config.yaml" "root:scim-bridge:640"
expect "it starts" systemctl start scim-bridge
expect "it imports, confined as its unit says" imported
sleep 11 # it is told every ten seconds
expect "systemd hears how it is" has "property StatusText" 'contoso: .*230 users'
expect "it runs as its user" is 'stat -c %U /proc/$(property MainPID)' scim-bridge
expect "it is hardly exposed" systemd-analyze security --threshold=10 scim-bridge.service
touch /try/serving
for _ in $(seq 120); do [ -e /try/looked ] && break; sleep 0.5; done # the other side looks, too

expect "a reload is taken" systemctl reload scim-bridge
cp /etc/scim-bridge/config.yaml /try/good.yaml
echo "nonsense: true" >>/etc/scim-bridge/config.yaml
refuse "a reload of a faulty file fails" systemctl reload scim-bridge
expect "and changes nothing" is "property ActiveState" active
refuse "a start with a faulty file fails" systemctl restart scim-bridge
sleep 7
expect "and is not tried for ever" is "property NRestarts; property ActiveState; property ExecMainStatus" "0
failed
2"
cat /try/good.yaml >/etc/scim-bridge/config.yaml
expect "it starts again" systemctl restart scim-bridge

before=$(property MainPID)
expect "an upgrade installs" dpkg -i /try/new.deb
expect "the new version runs" has "scim-bridge status" '^scim-bridge 1\.0\.0,'
expect "in a new process" test "$before" != "$(property MainPID)"
expect "with its settings and its state" imported
expect "after a crash it is started again" sh -c 'kill -SEGV "$(systemctl show -P MainPID scim-bridge)"; sleep 8; systemctl is-active scim-bridge'
port=$(sed -n 's/^  listen: 127.0.0.1:\([0-9]*\)$/\1/p' /try/good.yaml | head -n 1)
mkdir -p /etc/systemd/system/scim-bridge.socket.d
printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "$port" >/etc/systemd/system/scim-bridge.socket.d/try.conf
sed "0,/^  listen: .*/s||  listen: systemd\n  public_url: http://127.0.0.1:$port/scim/v2|" /try/good.yaml >/etc/scim-bridge/config.yaml
systemctl daemon-reload
systemctl stop scim-bridge
expect "with the socket of systemd it starts" sh -c 'systemctl enable --now scim-bridge.socket && systemctl start scim-bridge'
cat >/try/knock.sh <<'EOF'
for _ in $(seq 150); do
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || echo refused
	sleep 0.02
done
EOF
bash /try/knock.sh "$port" >/try/refused &
knocking=$!
expect "and is restarted" systemctl restart scim-bridge
wait $knocking
expect "while no connection is refused" is "wc -l </try/refused" 0
expect "and serves after it" imported

expect "an instance of the template is set up" sh -c "scim-bridge setup --non-interactive --config /etc/scim-bridge/other.yaml --source other --enabled no --platform sap \
	--expose local --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --state-directory /var/lib/scim-bridge/other >/dev/null"
expect "whose secret is the daemon's" is "stat -c %U:%G:%a /etc/scim-bridge/sap.secret" "scim-bridge:scim-bridge:600"
expect "and runs beside" sh -c 'systemctl enable --now scim-bridge@other && sleep 1 && systemctl is-active scim-bridge@other && systemctl is-active scim-bridge'

expect "a removal is done" dpkg -r scim-bridge
expect "it ends the daemons" is "systemctl show -P ActiveState scim-bridge.service scim-bridge@other.service | xargs" "inactive inactive"
expect "it takes the program" sh -c '! test -e /usr/bin/scim-bridge && ! test -e /usr/lib/systemd/system/scim-bridge.service'
expect "and keeps settings and state" test -s /etc/scim-bridge/config.yaml -a -s /var/lib/scim-bridge/scim-bridge.db
rm -r /etc/systemd/system/scim-bridge.socket.d # which is ours
cat /try/good.yaml >/etc/scim-bridge/config.yaml
expect "another installation finds them" dpkg -i /try/new.deb
expect "and serves again" sh -c 'systemctl start scim-bridge && systemctl is-active scim-bridge'
expect "a purge is done" dpkg -P scim-bridge
expect "and takes everything" sh -c '! test -e /etc/scim-bridge && ! test -e /var/lib/scim-bridge && ! find /etc/systemd | grep scim-bridge'
touch /try/done
