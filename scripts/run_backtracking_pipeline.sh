#!/usr/bin/env bash
# Phase 1 from problems to report. Run it again after an interruption to resume it.
#   scripts/run_backtracking_pipeline.sh [CONFIG] [options of `backtracking run`]
set -euo pipefail
cd "$(dirname "$0")/.."
config=configs/backtracking_state_transition.yaml
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    config=$1
    shift
fi
. scripts/activate_env.sh
exec backtracking run --config "$config" "$@"
