#!/bin/sh
# Makes .venv with every dependency pinned by requirements.lock, and Narthex itself, editable.
#
# Debian packages: none. What a machine usually gets from apt comes inside PyPI wheels here: FFmpeg (av),
# SDL and OpenAL (vizdoom), protoc (grpcio-tools), buf (buf-bin). No GL, no compiler, no broker, no npm.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-}"
if [ -z "$python" ]; then
    for candidate in python3.11 python3.12 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1; then python="$candidate"; break; fi
    done
fi
[ -n "$python" ] || { echo "setup: no Python found; install Python 3.11 or name one: make setup PYTHON=/path/to/python" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || {
    echo "setup: Narthex needs Python 3.11 or 3.12, got $("$python" --version 2>&1); name one: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
}
wanted=$(cat requirements.lock pyproject.toml scripts/setup.sh | cksum)
if [ -x .venv/bin/narthex ] && [ "$(cat .venv/.narthex-setup 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi
if [ ! -x .venv/bin/python ]; then
    echo "setup: making .venv with $("$python" --version)"
    # Debian splits ensurepip off into python3-venv; virtualenv from PyPI does without it.
    "$python" -m venv .venv 2>/dev/null || {
        rm -rf .venv
        "$python" -m pip install --quiet --target .build/virtualenv virtualenv
        PYTHONPATH=.build/virtualenv "$python" -m virtualenv --quiet .venv
    }
fi
echo "setup: installing the locked dependencies (about 1 GB, some minutes on a first run)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$wanted" > .venv/.narthex-setup
echo "setup: done"
