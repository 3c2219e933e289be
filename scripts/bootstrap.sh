#!/usr/bin/env bash
# Make the environment in .venv from the project's own files; does nothing when it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.installed
wanted=$(cat pyproject.toml constraints.txt scripts/bootstrap.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

python=""
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: Python 3.11 or newer was not found; install it, or set PYTHON=/path/to/python" >&2
    exit 2
fi

echo "making the environment in .venv (a few minutes the first time) ..." >&2
torch=$(grep '^torch==' constraints.txt)
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv --quiet --seed --python "$python" .venv
    # torch goes in by pip, which honours a local CPU build where one is configured; uv does the rest
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$torch"
    uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --editable '.[dev]'
else
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$torch"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
fi
echo "$wanted" > "$stamp"
