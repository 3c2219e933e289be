# shellcheck shell=bash
# Source this file: it activates .venv and reads .env (HF_TOKEN) if there is one.
#   source scripts/activate_env.sh
_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
if [ ! -f "$_root/.venv/bin/activate" ]; then
    echo "no environment yet: run scripts/bootstrap.sh" >&2
    unset _root
    # shellcheck disable=SC2317  # `exit` is for a file that was run rather than sourced
    return 2 2>/dev/null || exit 2
fi
# shellcheck source=/dev/null
. "$_root/.venv/bin/activate"
if [ -f "$_root/.env" ]; then
    set -a
    # shellcheck source=/dev/null
    . "$_root/.env"
    set +a
fi
unset _root
