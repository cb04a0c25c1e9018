#!/usr/bin/env bash
# Builds the importer in the directory given, unless it is there already, and
# prints the class path:
#
#	SCIM_BRIDGE_JAVA_CLIENT=$(tests/javaclient/build.sh "$cache/javaclient") go test ./tests
#
# It needs a JDK (11 or later) and Maven.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${1:?the directory of the importer}
if ! cmp -s "$here/pom.xml" "$to/pom.xml" || ! cmp -s "$here/Importer.java" "$to/Importer.java"; then
	rm -rf "$to"
	mkdir -p "$to"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$(cd "$to" && pwd)/lib" >&2
	javac -cp "$to/lib/*" -d "$to" "$here/Importer.java" >&2
	cp "$here/pom.xml" "$here/Importer.java" "$to"
fi
cd "$to"
printf '%s:%s/lib/*\n' "$PWD" "$PWD"
