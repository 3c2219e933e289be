#!/usr/bin/env bash
# Phase 2 on top of a finished Phase 1 run.
#   scripts/run_backtracking_phase2.sh PHASE1_RUN_ID [CONFIG] [options of `backtracking run`]
set -euo pipefail
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: scripts/run_backtracking_phase2.sh PHASE1_RUN_ID [CONFIG] [options of backtracking run]" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
phase1=$1
shift
config=configs/backtracking_state_transition_phase2.yaml
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    config=$1
    shift
fi
. scripts/activate_env.sh
exec backtracking run --config "$config" --phase1-run-id "$phase1" "$@"
