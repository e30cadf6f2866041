#!/bin/sh
# venv.sh PYTHON FOLDER: an environment of a Python that the desk runs on, or a clear word about what is missing.
set -eu
python=$1 folder=$2

command -v "$python" >/dev/null || { echo "no $python: install Python 3.11, 3.12 or 3.13 (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "$("$python" --version) cannot run this: Python 3.11 to 3.13 can (make PYTHON=python3.13 ...)" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv" >&2
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null || true
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        echo "Python's venv module is missing (Debian: apt-get install python3-venv)" >&2
        exit 1
    }
fi
[ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$folder"
