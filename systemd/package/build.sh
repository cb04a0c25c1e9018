#!/usr/bin/env bash
# Makes everything that is given to others, under dist/: binaries for amd64 and
# arm64, .deb and .rpm, manual pages, completions, a bill of materials, sums.
#
#   systemd/package/build.sh 1.2.3
#   ARCHES=amd64 systemd/package/build.sh 1.2.3     for one architecture
#
# The same commit gives the same bytes: nothing of the machine, its paths or its
# clock goes in. SOURCE_DATE_EPOCH is the time in the packages, by default that of
# the commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?which version?}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" GOOS=linux
export VERSION=$version
arches=${ARCHES:-amd64 arm64}
umask 022
rm -rf dist
mkdir -p dist/man dist/completion

for arch in $arches; do
	GOARCH=$arch go build -ldflags "-s -w -buildid= -X main.version=$version" -o "dist/$arch/scim-bridge" ./cmd/scim-bridge
done
own=dist/$(go env GOHOSTARCH)/scim-bridge
cat >dist/changelog.yaml <<EOF
- semver: $version-1
  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
  packager: scim-bridge maintainers <maintainers@scim-bridge.example>
  deb: {urgency: low, distributions: [stable]}
  changes:
    - note: See /usr/share/doc/scim-bridge/changelog.gz.
EOF

"$own" man dist/man
gzip -9n dist/man/*.8
gzip -9nc CHANGELOG.md >dist/changelog.gz
"$own" completion bash >dist/completion/scim-bridge.bash
"$own" completion zsh >dist/completion/_scim-bridge
"$own" completion fish >dist/completion/scim-bridge.fish
GOFLAGS='' GOOS='' go run ./systemd/package/sbom "$own" "$version" >dist/sbom.cdx.json

for arch in $arches; do
	for kind in deb rpm; do
		ARCH=$arch GOFLAGS='' GOOS='' go tool -modfile=systemd/tools.mod nfpm package -f systemd/package/nfpm.yaml -p "$kind" -t dist/
	done
done
(cd dist && sha256sum -- *.deb *.rpm */scim-bridge sbom.cdx.json >SHA256SUMS)
