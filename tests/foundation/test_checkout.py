"""What a checkout promises before any Python runs: what git keeps, and what the installer's script says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

KEPT = ["reports/r.md", "reports/r.html", "analysis/events.csv", "figures/f.png", "meta.json"]
LOCAL = ["generations/v/baseline.jsonl", "work/scan.jsonl", "dataset.jsonl", ".lock"]


@pytest.fixture
def checkout(tmp_path):
    """A repository with the project's ignore rules."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    return tmp_path


def is_ignored(folder, path):
    return subprocess.run(["git", "check-ignore", "-q", path], cwd=folder, check=False).returncode == 0


def test_git_keeps_findings_and_leaves_generations(checkout):
    for path in (*(f"runs/demo/{name}" for name in KEPT), "figures/index.md", "figures/demo/f.png"):
        assert not is_ignored(checkout, path), path
    for path in (*(f"runs/demo/{name}" for name in LOCAL), "runs/.current_run_id", "bootstrap.log"):
        assert is_ignored(checkout, path), path


NOISY = "#!/bin/sh\nfor i in $(seq 200); do echo noise $i; echo warning $i >&2; done\nexit {code}\n"


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize("with_uv", [False, True])
@pytest.mark.parametrize("code", [0, 7])
def test_the_installer_speaks_into_its_log(with_uv, code, tmp_path):
    """Whatever the installer prints, the terminal gets a few plain lines; a failure names the log."""
    for name in ("pyproject.toml", "constraints.txt", "scripts/bootstrap.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    pip_code = 0 if with_uv else code
    script(tmp_path / ".venv/bin/python", NOISY.format(code=pip_code))
    tools = tmp_path / "tools"
    for name in ("bash", "cat", "cksum", "dirname", "grep", "sed", "seq", "tail", "sh"):
        (tools / name).parent.mkdir(exist_ok=True)
        (tools / name).symlink_to(shutil.which(name))
    if with_uv:
        script(tools / "uv", NOISY.format(code=code))
    done = subprocess.run(
        ["bash", tmp_path / "scripts/bootstrap.sh"],
        env=os.environ | {"PATH": str(tools), "PYTHON": sys.executable},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == bool(code), said
    assert len(said.splitlines()) <= 10
    assert "bootstrap.log" in said
    assert "warning 200" in (tmp_path / "bootstrap.log").read_text()
    assert ("next: read bootstrap.log" in said) == bool(code)
    assert (tmp_path / ".venv/.installed").exists() == (not code)
