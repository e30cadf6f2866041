#!/bin/sh
# Debian packages that the tests need and this machine lacks: Redis, PostgreSQL, Chromium, a Java, Maven.
# Only as root, and only what is missing; what cannot be had is said here and decided by the tests (CI=true: they fail).
set -u

missing=""
need() { # need PACKAGE FOUND: FOUND is empty when the program is not there
    [ -n "$2" ] || missing="$missing $1"
}
on_path() { command -v "$1" 2>/dev/null; }

need redis-server "$(on_path redis-server)"
need postgresql "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null || on_path initdb)"
need chromium "$(on_path chromium || on_path chromium-browser || on_path google-chrome)"
# The fonts of names the desk shows; a browser without them draws boxes.
need fonts-noto-cjk "$(ls /usr/share/fonts/opentype/noto/*CJK* 2>/dev/null)"

if [ -z "${IMS_TEST_KAFKA:-}" ] && ! docker version >/dev/null 2>&1; then
    need java "$(on_path java)"
    need maven "$(on_path mvn)"
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || [ -z "$(on_path apt-get)" ]; then
    echo "missing:$missing (install them, or run this as root on Debian)" >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
echo "installing:$missing" >&2
apt-get update -qq || echo "apt-get update failed" >&2
java=openjdk-17-jre-headless
apt-cache show "$java" >/dev/null 2>&1 || java=default-jre-headless # newer Debians have a newer Java only, which Kafka takes too
for package in $missing; do
    [ "$package" = java ] && package=$java
    # RUNLEVEL=1: the tests start servers of their own, the packages' need not run
    RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "cannot install $package" >&2
done
exit 0
