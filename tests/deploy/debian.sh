#!/bin/sh
# Brings what `make check-deploy` needs of Debian, unless it is there: nginx, prometheus with promtool, openssl, and a python
# with venv that other accounts than root can run.
set -eu
PATH=$PATH:/usr/sbin
wanted=
for program in nginx prometheus promtool openssl git; do
    command -v "$program" >/dev/null || wanted="$wanted $(test "$program" = promtool && echo prometheus || echo "$program")"
done
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || wanted="$wanted python3-venv"
test -n "$wanted" || exit 0
test "$(id -u)" = 0 || { echo "as root: apt-get install$wanted" >&2; exit 1; }
apt-get update -q || echo "the list of packages could not be fetched; trying the one at hand"
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $wanted
