#!/usr/bin/env bash
# A Ray cluster inside one Slurm job, and a run of both phases on it: sbatch deploy/slurm.sh CONFIG [OPTION...]
# One task per node; Ray deals the GPUs of a node to one worker each. The run folder, and a model.hf_id that is a
# folder, lie on a file system that all nodes share.
#SBATCH --job-name=backtracking
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=B:INT@120
#SBATCH --requeue
set -euo pipefail

config=${1:?usage: sbatch deploy/slurm.sh CONFIG [OPTION...]}
shift
port=6379
umask 077
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')

# start NODE OPTION...: Ray on one node, for as long as the job lasts.
start() {
    local node=$1
    shift
    srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" \
        ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" "$@" &
}

start "$head" --head --node-ip-address="$address" --port="$port" --include-dashboard=false
until srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" ray status --address "$address:$port" > /dev/null 2>&1; do
    sleep 2
done
for node in "${nodes[@]:1}"; do
    start "$node" --address="$address:$port"
done

# The command is what Slurm's signal reaches: it keeps what is written, and the requeued job resumes.
backtracking run --config "$config" --address "$address:$port" "$@" &
command=$!
trap 'kill -INT "$command"' INT
wait "$command" || wait "$command"
