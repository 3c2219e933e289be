"""A fresh checkout in which the documented commands run as they stand, without network and in minutes.

What stands in for what, and nothing else does:

- configs: the bundled reasoner for the real model, its problems for GSM8K, a short cap, few problems,
  samples, draws and scales; the last layers of six for those of 28 (`SMALL`, `REAL`, `LAYERS`);
- `.venv`: the checkout's own source, and the packages of the environment that the tests run in; its
  `backtracking`, `python` and a page's Python run in a process that has loaded these already (`warm.py`);
- `.venv-bench`: the same, with the bundled reasoner in the place of SmolLM2;
- the commands of `SHORTER` and the calls of `SHORTER_PYTHON`: the same program, told to do less;
- `PHASE1_RUN_ID`: the run that the command before has made.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.docs.fences import ROOT, Fence
from tests.docs.warm import CLIENT

SMALL = {
    "dataset": {"max_examples": 10},
    "generation": {"num_samples_per_prompt": 2},
    "analysis": {"max_events": 8, "control_samples": 8, "max_injections": 4},
    "ablation_generation": {"random_draws": 2},
}
SMALL_PHASE2 = {"max_examples": 6, "num_samples_per_prompt": 2}
DRAWS, SCALES = 2, 2
WARM_PYTHON = ".venv/bin/warm-python"
PRELUDE = f"""set -Ee -o pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
python() {{ {WARM_PYTHON} "$@"; }}
"""
REAL = {
    "model": {"hf_id": "bundled", "torch_dtype": "auto"},
    "dataset": {"name": "tiny_arithmetic"},
    "prompting": {"template": "{question}"},
    "generation": {"max_new_tokens": 80},
    "analysis": {"topk_layers_for_generation": 2},
}
LAYERS = {
    "attn": {0: 0, 1: 1, 15: 2, 17: 3, 19: 4, 27: 5},
    "mlp": {19: 0, 20: 1, 22: 2, 23: 3, 24: 4, 27: 5},
}
SHORTER = (
    (r"(backtracking explore [\w-]+) {2,}#", r"\1 --export explored.html  #"),
    (r"(backtracking figures demo) {2,}#", r"\1 --format svg  #"),
    (r"(backtracking figures demo) --format pdf --width 3.25", r"\1 --format png --width 3.25"),
    (r"make test", "make test PYTEST_ADDOPTS=tests/foundation/test_checkout.py"),
    (r"(backtracking organism evaluate).*", r"\1 --problems 8 --samples 1 || test $? = 1"),
    (r"(-m backtracking\.organism\.train) --out (runs/organism-1|/tmp/smoke) .*", r"\1 --help"),
    (
        r"(-m backtracking\.organism\.train --out) runs/doubter( --design doubter).*",
        r"\1 runs/doubter\2 --smoke --problems 4",
    ),
    (
        r"(-m backtracking\.organism\.train --out) (?!runs/doubter).*",
        r"\1 runs/organism --smoke --problems 4",
    ),
    (r"(--run-id mine --set dataset\.max_examples)=20", r"\1=4"),
    (
        r"(benchmarks/generation\.py --only) ratios .*",
        r"\1 'ratios bundled reasoner' --share 0.05 --rounds 1 --threads 1 "
        r"--contenders 'one by one,engine,floor'",
    ),
    (
        r"(benchmarks/generation\.py)  .*",
        r"\1 --only conditions --share 0.05 --rounds 1 --dtypes float32 --threads 1",
    ),
)

SHORTER_PYTHON = (
    (r"generate\(bt\.problems\(\d+\)", "generate(bt.problems(12), samples=3"),
    (r"bt\.problems\(\d+\)", "bt.problems(12)"),
    (r"samples=\d+", "samples=3"),
    (r'bt\.load\("[^"]+/[^"]+"', 'bt.load("bundled"'),
)


def make_checkout(folder: Path) -> Path:
    """Copy what git would clone, committed or not yet, and make its environments and configs."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for path in folder.glob("configs/*.yaml"):
        _shrink(path)
    _environment(folder, ".venv")
    _environment(folder, ".venv-bench")
    shutil.copytree(ROOT / "src/backtracking/assets/reasoner", folder / ".venv-bench/smollm2-135m")
    commit = "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm t"
    subprocess.run(commit, cwd=folder, shell=True, check=True)
    return folder


def _shrink(path: Path) -> None:
    """Replace the settings that need a download or hours."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    is_root = "extends" not in config
    is_real = config.get("model", {}).get("hf_id", "bundled") != "bundled"
    for part in (*([SMALL] if is_root else []), *([REAL] if is_real else [])):
        for section, values in part.items():
            config[section] = config.get(section, {}) | values
    if "phase2" in config:
        config["phase2"] |= SMALL_PHASE2
        subsets = config["phase2"]["subset_sweep"]["subsets"]
        for subset in subsets.values():
            if "draws" in subset:
                subset["draws"] = DRAWS
        for sweep in ("scale_sweep", "continuation_ablation"):
            config["phase2"][sweep]["scales"] = config["phase2"][sweep]["scales"][:SCALES]
        if "mlp_27_only" in subsets:
            config["phase2"]["subset_sweep"]["subsets"] = {k: _with_layers(v) for k, v in subsets.items()}
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def _with_layers(subset: Any) -> Any:
    return [[kind, LAYERS[kind][layer]] for kind, layer in subset] if isinstance(subset, list) else subset


def _environment(folder: Path, name: str) -> None:
    """An environment of the checkout's own: its source first, then the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / name], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder / name)}))
    (own / "checkout.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n")
    python = folder / name / "bin/python"
    for tool in Path(sysconfig.get_path("scripts")).iterdir():
        if not (folder / name / "bin" / tool.name).exists() and tool.is_file():
            (folder / name / "bin" / tool.name).symlink_to(tool)
    command = folder / name / "bin/backtracking"
    command.unlink(missing_ok=True)
    command.write_text(f"#!{python}\nfrom backtracking.cli import main\n\nmain()\n")
    command.chmod(0o755)
    stamp = "cat pyproject.toml constraints.txt scripts/bootstrap.sh | cksum"
    made_of = subprocess.run(stamp, cwd=folder, shell=True, check=True, capture_output=True, text=True)
    (folder / name / ".installed").write_text(made_of.stdout)


@contextmanager
def warmed(checkout: Path) -> Iterator[Path]:
    """The checkout, its `backtracking` served by a process that has loaded the libraries."""
    python, command = checkout / ".venv/bin/python", checkout / ".venv/bin/backtracking"
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/commands"
        server = subprocess.Popen(
            [python, ROOT / "tests/docs/warm.py", address],
            env=_env(checkout),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            for client in (command, checkout / WARM_PYTHON):
                client.write_text(CLIENT.format(python=python, address=address))
                client.chmod(0o755)
            yield checkout
        finally:
            server.kill()
            server.communicate()


def run_block(fence: Fence, checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run a block of commands in one shell, as if typed in the activated environment."""
    text = _shortened(fence.text, SHORTER)
    text = re.sub(r"\bPHASE1_RUN_ID\b", "$(cat runs/.current_run_id)", text)
    return subprocess.run(
        ["bash", "-c", PRELUDE + text],
        cwd=checkout,
        env=_env(checkout),
        check=False,
        capture_output=True,
        text=True,
    )


def run_python(text: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / WARM_PYTHON, "-c", _shortened(text, SHORTER_PYTHON)],
        cwd=checkout, env=_env(checkout), check=False, capture_output=True, text=True,
    )  # fmt: skip


def _shortened(text: str, table: tuple[tuple[str, str], ...]) -> str:
    for pattern, shorter in table:
        text = re.sub(pattern, shorter, text)
    return text


def _env(checkout: Path) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))}
    path = f"{checkout / '.venv/bin'}{os.pathsep}{clean['PATH']}"
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPLBACKEND": "agg"}
    return clean | quiet | {"PATH": path}
