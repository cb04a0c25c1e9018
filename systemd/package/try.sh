#!/usr/bin/env bash
# Tries what build.sh makes, as root on Debian:
#
#   apt-get install mmdebstrap fakechroot fakeroot systemd-container lintian rpm
#   systemd/package/try.sh
#
# - the same source elsewhere gives the same bytes;
# - lintian has nothing to say;
# - a Debian is booted with systemd, and the .deb installed, set up, started,
#   reloaded, upgraded, removed and purged in it (tests/testdata/package.sh);
# - the .rpm is installed, upgraded and erased, with its scripts;
# - the program runs as in its container: alone in a read-only tree, without rights;
# - where there is buildah, the image is built of its Containerfile, with that Debian
#   and this machine's Go in the place of the base image.
set -euo pipefail
cd "$(dirname "$0")/../.."
arch=$(go env GOHOSTARCH)
work=$(mktemp -d /var/tmp/scim-bridge-try.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
step() { printf '\n== %s\n' "$*"; }
ok() { echo "ok: $*"; }
build() { # a script, a version
	ARCHES=$arch "$1" "$2" >"$work/log" 2>&1 || {
		cat "$work/log"
		exit 1
	}
}

step "two versions"
for version in 0.9.0 1.0.0; do
	build systemd/package/build.sh "$version"
	mkdir "$work/$version"
	cp dist/*.deb dist/*.rpm dist/SHA256SUMS "$work/$version"
done
(cd dist && sha256sum --quiet -c SHA256SUMS)
ok "built"

step "reproducible"
mkdir -p "$work/elsewhere/tree"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$work/elsewhere/tree"
(
	umask 077
	export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} TZ=Asia/Tokyo LC_ALL=C
	chmod -R go-rwx "$work/elsewhere"
	build "$work/elsewhere/tree/systemd/package/build.sh" 1.0.0
)
diff "$work/1.0.0/SHA256SUMS" "$work/elsewhere/tree/dist/SHA256SUMS"
ok "the same bytes from another directory, umask and time zone"
rm -rf "$work/elsewhere"

step "lintian"
lintian --fail-on error,warning --allow-root "$work"/1.0.0/*.deb
ok "nothing to say"

step "a Debian"
# Not every machine lets a chroot have devices while it is made: fakechroot needs none.
mmdebstrap --quiet --mode=fakechroot --variant=minbase --include=ca-certificates,systemd bookworm "$work/root.tar"
mkdir "$work/root" && tar -xpf "$work/root.tar" -C "$work/root" --numeric-owner
cp -a "$work/root" "$work/rpm"
mkdir "$work/root/try"
cp "$work"/0.9.0/*.deb "$work/root/try/old.deb"
cp "$work"/1.0.0/*.deb "$work/root/try/new.deb"
SCIM_BRIDGE_TRY=$work go test -count=1 -run 'TestPackageInDebian$' ./tests

step "the .rpm"
inside() { rpm --root "$work/rpm" --nodeps "$@"; }
inside -i "$work"/0.9.0/*.rpm
chroot "$work/rpm" scim-bridge version | grep '^scim-bridge 0.9.0 '
chroot "$work/rpm" id scim-bridge
[ "$(chroot "$work/rpm" stat -c %U:%G:%a /etc/scim-bridge /var/lib/scim-bridge | xargs)" = "root:scim-bridge:750 scim-bridge:scim-bridge:700" ]
echo "# mine" >"$work/rpm/etc/scim-bridge/config.yaml"
ok "installed"
inside -U "$work"/1.0.0/*.rpm
chroot "$work/rpm" scim-bridge version | grep '^scim-bridge 1.0.0 '
grep -q mine "$work/rpm/etc/scim-bridge/config.yaml"
inside -V scim-bridge
ok "upgraded"
inside -e scim-bridge
[ ! -e "$work/rpm/usr/bin/scim-bridge" ] && grep -q mine "$work/rpm/etc/scim-bridge/config.yaml"
ok "erased; settings and state stay"

step "as in the container"
tree=$work/container
install -D "dist/$arch/scim-bridge" "$tree/usr/bin/scim-bridge"
install -D /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
install -d -m 1777 "$tree/tmp"
unshare --mount --pid --fork bash -euc '
	mount --bind "$1" "$1"
	mount -t tmpfs tmpfs "$1/tmp"
	mount -o remount,bind,ro "$1"
	! touch "$1/usr/bin/x" 2>/dev/null
	cd "$1"
	exec chroot --userspec=65532:65532 . /usr/bin/scim-bridge demo --once --users 50 --groups 5' - "$tree" | grep -A3 -i 'import'
ok "runs alone, read-only, as user 65532"

step "the image"
if command -v buildah >/dev/null; then
	export BUILDAH_ISOLATION=chroot
	storage() { buildah --root "$work/images" --runroot "$work/images-run" "$@"; }
	base=$(storage from scratch)
	storage add -q "$base" "$work/root.tar" /
	storage add -q "$base" "$(go env GOROOT)" /usr/local/go
	storage add -q "$base" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
	storage config --env "PATH=/usr/local/go/bin:/usr/bin:/bin" --env "GOPROXY=$(go env GOPROXY)" "$base"
	storage commit -q "$base" docker.io/library/golang:1.26
	git ls-files -z | tar -c --null -T - | (mkdir "$work/source" && tar -x -C "$work/source")
	storage bud --pull-never --network host -f systemd/container/Containerfile --build-arg VERSION=1.0.0 -t scim-bridge "$work/source" >"$work/log" 2>&1 || {
		cat "$work/log"
		exit 1
	}
	image=$(storage mount "$(storage from --pull-never scim-bridge)")
	[ "$(stat -c %u:%g:%a "$image/var/lib/scim-bridge" "$image/tmp" | xargs)" = "65532:65532:700 0:0:1777" ]
	chroot --userspec=65532:65532 "$image" /usr/bin/scim-bridge version | grep '^scim-bridge 1.0.0'
	chroot --userspec=65532:65532 "$image" /usr/bin/scim-bridge demo --once --users 50 --groups 5 >/dev/null
	storage umount --all >/dev/null
	ok "built, and runs as user 65532"
else
	echo "NOT RUN: there is no buildah"
fi

echo; echo 'All of it holds.'
