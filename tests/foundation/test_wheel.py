"""What a user without a checkout gets: the source archive, and the wheel in an empty environment."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from backtracking import __version__
from tests.foundation.study import FEW_DRAWS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")
TINY = (
    "dataset.max_examples=12",
    "generation.num_samples_per_prompt=2",
    'prompting.formatting_variants=[{name: baseline_think_newline, think_open: "<think>\\n"}]',
    "analysis.max_events=8",
    "analysis.control_samples=8",
    "analysis.max_injections=8",
    "ablation_generation.random_draws=2",
)
TINY_PHASE2 = (
    *TINY,
    "phase2.max_examples=8",
    "phase2.num_samples_per_prompt=2",
    f"phase2.subset_sweep.subsets={FEW_DRAWS}",
    "phase2.scale_sweep.scales=[0.0]",
    "phase2.continuation_ablation.scales=[0.0]",
)


def build(kind: str, source: Path, out: Path) -> Path:
    """Build with the backend that pyproject.toml names, in the environment of the tests."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, check=True, capture_output=True, text=True
    )
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE, symlinks=True)
    return build("sdist", folder / "source", folder)


@pytest.fixture(scope="module")
def environment(archive) -> Path:
    """An empty environment with the wheel that was built from the archive, and packages from the tests'."""
    folder = archive.parent
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    wheel = build("wheel", next((folder / "unpacked").iterdir()), folder)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, wheel], check=True, cwd=folder)
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "tests_packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment


def test_the_archive_holds_what_a_packager_and_a_reader_need(archive):
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2]: packed.getmember(name) for name in packed.getnames()}
    wanted = [f"{folder}/demo.yaml" for folder in ("configs", "src/backtracking/configs")]
    wanted += [
        "CHANGELOG.md",
        "LICENSE",
        "constraints.txt",
        "docs/config.md",
        "examples/own_detector.py",
        "deploy/slurm.sh",
        "Dockerfile",
        "tests/conftest.py",
        "Makefile",
    ]
    for name in wanted:
        assert names[name].isfile(), name
    assert not [name for name in names if name.startswith(("runs", "figures/")) or "__pycache__" in name]


def test_the_wheel_alone_takes_both_phases_to_their_reports(environment, tmp_path):
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GIT_"))}

    def program(*arguments: str) -> str:
        command = [environment / "bin" / "backtracking", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert program("config", "list").startswith("demo ")
    for name, settings in (("demo", TINY), ("demo_phase2", TINY_PHASE2)):
        program("run", "-c", name, "-q", *(part for value in settings for part in ("--set", value)))
    assert (tmp_path / "runs/demo/reports/backtracking_state_transition_report.html").stat().st_size
    assert (tmp_path / "runs/demo-phase2/reports/backtracking_phase2_report.html").stat().st_size
    meta = json.loads((tmp_path / "runs/demo/meta.json").read_text())
    assert meta["config_source"] == "demo"
    assert meta["environment"]["git"] == {"sha": None, "dirty": None}
    assert meta["environment"]["version"] == __version__
    assert meta["stages"]["prepare-data"]["code"].startswith(f"version {__version__}, source ")
