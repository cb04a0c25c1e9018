#!/usr/bin/env bash
# Installs the authorization server into the directory given, unless it is there
# already, and prints the path of its program:
#
#	SCIM_BRIDGE_OAUTH_SERVER=$(tests/oauth/install.sh "$cache/oauth") go test ./tests
#
# It needs Node.js 20 or later, and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?the directory of the installation}
if ! cmp -s "$here/package-lock.json" "$dir/installed.json"; then
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$here/package.json" "$here/package-lock.json" "$dir/"
	(cd "$dir" && npm ci --silent --no-audit --no-fund >&2)
	cp "$here/package-lock.json" "$dir/installed.json"
fi
cp "$here/server.mjs" "$dir/server.mjs"
cd "$dir"
printf '%s/server.mjs\n' "$PWD"
