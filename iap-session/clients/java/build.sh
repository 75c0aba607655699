#!/bin/sh
# Builds iap-session.jar with the JDK alone.
# usage: build.sh [DIRECTORY] [SERVLET-API.JAR]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/build}
api=${2:-/usr/share/tomcat10/lib/servlet-api.jar}
rm -rf "$to/classes"
mkdir -p "$to/classes"
javac --release 17 -Xlint:all -cp "$api" -d "$to/classes" "$here"/src/iap/session/*.java
jar --create --file "$to/iap-session.jar" -C "$to/classes" .
