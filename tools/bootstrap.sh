#!/bin/sh
# Makes .venv with everything in uv.lock, from nothing but Python >= 3.11. Safe to repeat; leaves a marker when done.
set -eu
cd "$(dirname "$0")/.."
uv_version=0.13.8

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if usable "$candidate"; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] && usable "$python" || fail "Python 3.11 or later is not found" "install it, or name it: make PYTHON=/path/to/python3.12"

# Caches go to the home folder; where there is none to write to, into the project.
if [ ! -w "${HOME:-/nonexistent}" ]; then
    UV_CACHE_DIR=$PWD/.cache/uv PIP_CACHE_DIR=$PWD/.cache/pip
    export UV_CACHE_DIR PIP_CACHE_DIR
fi

if [ ! -x .venv/bin/python ] || ! usable .venv/bin/python; then
    echo "making .venv with $("$python" --version) ..."
    rm -rf .venv
    "$python" -m venv .venv || {
        rm -rf .venv
        fail "$python can't make a virtual environment" "on Debian and Ubuntu: apt-get install python3-venv"
    }
fi
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$uv_version" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "uv==$uv_version" ||
        fail "uv can't be installed" "pip's message above says why; it needs a package index"
fi
echo "installing what uv.lock names ..."
UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV='' UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --all-extras --quiet ||
    fail "the dependencies can't be installed" "uv's message above says why; make again goes on where it stopped"
touch .venv/.ready
