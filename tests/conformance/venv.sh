#!/usr/bin/env bash
# Makes a Python virtual environment with the conformance suite in the directory
# given, unless it is there already, and prints the path of its interpreter:
#
#	SCIM_BRIDGE_SCIM2_TESTER=$(tests/conformance/venv.sh "$cache/scim2-tester") go test ./tests
#
# It needs Python 3.10 or later with the venv module.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:?the directory of the virtual environment}
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
	rm -rf "$venv"
	python3 -m venv "$venv" >&2
	"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
	cp "$here/requirements.txt" "$venv/requirements.txt"
fi
cd "$venv"
printf '%s/bin/python\n' "$PWD"
