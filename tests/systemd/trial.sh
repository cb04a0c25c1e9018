# What is tried of the units, run by the systemd that boot.sh boots. Each line of
# out/results is a name and a value, which the test judges.
cd /trial/in
say() { printf '%s\t%s\n' "$1" "$2" >>/trial/out/results; }
say booted "$(systemctl --version | head -1)"
systemctl start systemd-journald.service
systemctl log-target journal

# As the packages do.
install -m 755 scim-bridge /usr/bin/scim-bridge
install -m 644 scim-bridge.service scim-bridge@.service scim-bridge.socket /etc/systemd/system/
install -m 644 sysusers.conf /usr/lib/sysusers.d/scim-bridge.conf
install -m 644 tmpfiles.conf /usr/lib/tmpfiles.d/scim-bridge.conf
systemd-sysusers scim-bridge.conf; say sysusers $?
systemd-tmpfiles --create scim-bridge.conf; say tmpfiles $?
for file in config.yaml bad.yaml other.yaml client.token; do install -o root -g scim-bridge -m 640 $file /etc/scim-bridge/$file; done
install -m 600 tenant.secret /etc/scim-bridge/secrets/tenant.secret
mkdir -p /etc/systemd/system/scim-bridge.service.d /etc/systemd/system/scim-bridge@.service.d /etc/systemd/system/scim-bridge.socket.d
for unit in scim-bridge scim-bridge@; do
	printf '[Service]\nLoadCredential=tenant.secret:/etc/scim-bridge/secrets/tenant.secret\n' >/etc/systemd/system/$unit.service.d/secret.conf
done
printf '[Socket]\nListenStream=\nListenStream=%s\n' "$(cat socket)" >/etc/systemd/system/scim-bridge.socket.d/address.conf
systemctl daemon-reload

show() { systemctl show -P "$2" "$1"; }
await() { # NAME COMMAND...: until the command succeeds
	name=$1; shift
	for _ in $(seq 150); do "$@" >/dev/null 2>&1 && { say "$name" yes; return; }; sleep 0.2; done
	say "$name" no
}
counts() { scim-bridge status --json --config "$1" | grep -q '"users": 40'; }

trap 'journalctl --no-pager -o short-monotonic >/trial/out/journal.txt' EXIT
systemctl start scim-bridge.socket scim-bridge.service; say start $?
await serves counts /etc/scim-bridge/config.yaml
[ "$(show scim-bridge ActiveState)" = active ] || exit 1
sleep 11 # the status line is told every ten seconds
say status "$(show scim-bridge StatusText)"
pid=$(show scim-bridge MainPID)
for field in Uid CapEff CapBnd CapAmb NoNewPrivs Seccomp; do say "$field" "$(awk -v f="$field:" '$1 == f {print $2}' /proc/$pid/status)"; done
say state "$(stat -c '%U %a' /var/lib/scim-bridge)"
say secrets "$(stat -c '%U %a' /etc/scim-bridge/secrets)"
journalctl -u scim-bridge -o json --no-pager >/trial/out/journal.json

systemctl reload scim-bridge; say reload $?
say reloaded-pid "$([ "$(show scim-bridge MainPID)" = "$pid" ] && echo same)"
cp /etc/scim-bridge/config.yaml /etc/scim-bridge/good.yaml
cat bad.yaml >/etc/scim-bridge/config.yaml
systemctl reload scim-bridge; say bad-reload $?
say after-bad-reload "$(show scim-bridge ActiveState)"
systemctl restart scim-bridge; say bad-restart $?
sleep 7 # longer than RestartSec
say after-bad-restart "$(show scim-bridge ActiveState) $(show scim-bridge ExecMainStatus) $(show scim-bridge NRestarts)"
cat /etc/scim-bridge/good.yaml >/etc/scim-bridge/config.yaml
systemctl start scim-bridge; say mended $?
await serves-again counts /etc/scim-bridge/config.yaml

pid=$(show scim-bridge MainPID)
[ "$pid" = 0 ] || kill -KILL "$pid"
await comes-back counts /etc/scim-bridge/config.yaml
say restarts "$(show scim-bridge NRestarts)"

systemctl start scim-bridge@other.service; say template $?
await template-serves counts /etc/scim-bridge/other.yaml
say template-state "$(stat -c '%U %a' /var/lib/scim-bridge/other)"

# One that does not move any more is killed by the watchdog and started again.
printf '[Service]\nWatchdogSec=5s\nTimeoutAbortSec=1s\n' >/etc/systemd/system/scim-bridge@.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart scim-bridge@other.service; say watched $?
sleep 6 # it lives as long as it moves
say watched-lives "$(show scim-bridge@other ActiveState) $(show scim-bridge@other NRestarts)"
kill -STOP "$(show scim-bridge@other MainPID)"
restarted() { [ "$(show scim-bridge@other NRestarts)" = 1 ] && counts /etc/scim-bridge/other.yaml; }
await watchdog-restarts restarted
say watchdog "$(journalctl -u scim-bridge@other --no-pager | grep -c "Failed with result 'watchdog'")"

systemctl stop scim-bridge.service scim-bridge@other.service; say stop $?
say stopped "$(show scim-bridge Result) $(show scim-bridge ExecMainStatus)"
say end end
