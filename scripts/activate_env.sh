# Source this file: it activates .venv and reads .env (HF_TOKEN) if there is one.
#   source scripts/activate_env.sh
_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
if [ ! -f "$_root/.venv/bin/activate" ]; then
    echo "no environment yet: run scripts/bootstrap.sh" >&2
    unset _root
    return 2 2>/dev/null || exit 2
fi
. "$_root/.venv/bin/activate"
if [ -f "$_root/.env" ]; then
    set -a
    . "$_root/.env"
    set +a
fi
unset _root
