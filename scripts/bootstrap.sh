#!/usr/bin/env bash
# Make the environment in .venv from the project's own files; does nothing when it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.installed
log=bootstrap.log
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

# step LABEL COMMAND...: one plain line on the terminal, what the installer says in the log.
step() {
    echo "  $1" >&2
    shift
    echo "\$ $*" >> "$log"
    if ! "$@" >> "$log" 2>&1; then
        echo "error: this step failed; the last lines of $log:" >&2
        tail -n 5 "$log" | sed 's/^/    /' >&2
        echo "  next: read $log, and run scripts/bootstrap.sh again" >&2
        exit 1
    fi
}

echo "making the environment in .venv (a few minutes the first time; details in $log)" >&2
: > "$log"
pip=(.venv/bin/python -m pip install --disable-pip-version-check)
torch=$(grep '^torch==' constraints.txt)
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || step "virtual environment" uv venv --seed --python "$python" .venv
    # torch goes in by pip, which honours a local CPU build where one is configured; uv does the rest
    step "$torch" "${pip[@]}" "$torch"
    step "the other packages" uv pip install --python .venv/bin/python --constraint constraints.txt --editable '.[dev]'
else
    [ -x .venv/bin/python ] || step "virtual environment" "$python" -m venv .venv
    step "$torch" "${pip[@]}" "$torch"
    step "the other packages" "${pip[@]}" --constraint constraints.txt --editable '.[dev]'
fi
echo "$wanted" > "$stamp"
echo "  ready: source scripts/activate_env.sh" >&2
