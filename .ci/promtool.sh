#!/usr/bin/env bash
# Gives the path of promtool, unpacked from Debian's package into a directory, with
# nothing installed. Nothing is printed where that can't be had.
set -euo pipefail
dir=$1
if [ ! -x "$dir/usr/bin/promtool" ]; then
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 0
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	own=(-o "Dir::State::Lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=)
	apt-get "${own[@]}" -qq update >&2 || exit 0
	(cd "$dir" && apt-get "${own[@]}" -qq download prometheus >&2 && dpkg-deb -x prometheus_*.deb . && rm -rf prometheus_*.deb apt) || exit 0
fi
echo "$dir/usr/bin/promtool"
