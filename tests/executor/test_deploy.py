"""Launch files are sound, and what they type is understood; without Ray there is one clear message."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backtracking.config.load import load_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def test_the_slurm_script_is_sound_shell():
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    tool = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if tool is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([tool, script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_kubernetes_job_asks_workers_for_what_its_pods_have():
    job = yaml.safe_load((DEPLOY / "kuberay.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    config = load_config(ROOT / "configs/demo.yaml", settings).config
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert config.run.ray.gpus == int(limits["nvidia.com/gpu"])
    assert config.run.ray.cpus == int(limits["cpu"])
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert config.run.output_dir.startswith(tuple(mounted))


def test_without_ray_it_is_said_what_to_install():
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from backtracking.errors import UserError\n"
        "from backtracking.engine.executor.cluster import import_ray\n"
        "try:\n    import_ray()\n"
        "except UserError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "backtracking[ray]" in done.stdout
    assert "run.executor: local" in done.stdout
