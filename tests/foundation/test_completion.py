"""What Tab offers, asked for as a shell asks, and how little is imported for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from tests.foundation.command import CommandLine

ROOT = Path(__file__).parents[2]
CONFIG = """prompting:
  formatting_variants:
    - {name: plain, think_open: ""}
    - {name: tagged, think_open: "<t>"}
"""


@pytest.fixture
def runs(workdir):
    """Two runs, one of which has formats of its own."""
    for name in ("alpha", "beta"):
        paths = RunPaths(workdir / "runs", name)
        paths.root.mkdir(parents=True)
        RunMeta(name, "study", "", "", "", {}, {}).save(paths.meta)
    RunPaths(workdir / "runs", "beta").config.write_text(CONFIG)
    (workdir / "mine.yaml").write_text(CONFIG)
    (workdir / "mkdocs.yml").write_text("site_name: no config\n")
    (workdir / ".hidden.yaml").write_text(CONFIG)
    rows = workdir / "runs/beta/generations/plain"
    rows.mkdir(parents=True)
    for name in ("baseline", "phase2_mild", "phase2_mild.previous"):
        (rows / f"{name}.jsonl").touch()
    (workdir / "runs/beta/analysis").mkdir()
    (workdir / "runs/beta/analysis/directions.json").write_text('{"names": ["onset_0", "onset_1"]}')
    (workdir / "configs").mkdir()
    (workdir / "configs/other.yaml").write_text("")
    return workdir


def offered(folder, *words, code="import sys; from backtracking.cli import main; main()"):
    line = " ".join(["backtracking", *words])
    asked = {
        "_BACKTRACKING_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
        "PYTHONPATH": str(ROOT / "src"),
    }
    code = f"import sys; sys.argv[0] = 'backtracking'\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=os.environ | asked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("status", "--run-id", "''"), {"alpha", "beta"}),
        (("status", "--run-id", "be"), {"beta"}),
        (("metrics-v2", "--phase1-run-id", "al"), {"alpha"}),
        (("audit", "be"), {"beta"}),
        (("generate", "--condition", "t"), {"targeted_ablation"}),
        (("generate", "--run-id", "beta", "--variant", "''"), {"plain", "tagged"}),
        (("generate", "-c", "mine.yaml", "--variant", "t"), {"tagged"}),
        (("generate", "--variant", "no"), {"no_think_tags"}),
        (("run", "-c", "m"), {"mine.yaml"}),
        (("run", "-c", "."), set()),
        (("config", "init", "demo_d"), {"demo_doubter", "demo_doubter_phase2"}),
        (("export", "arm", "beta", "--arm", "''"), {"baseline", "mild"}),
        (("export", "vector", "beta", "--name", "onset"), {"onset_0", "onset_1"}),
        (("run", "-c", "configs/"), {"configs/other.yaml"}),
    ],
)
def test_tab_offers_what_there_is(runs, words, expected):
    assert set(offered(runs, *words)) == expected


def test_tab_loads_no_model_library(runs):
    code = (
        "import atexit\n"
        "atexit.register(lambda: sys.stderr.write('torch\\n' if 'torch' in sys.modules else ''))\n"
        "from backtracking.cli import main; main()"
    )
    assert offered(runs, "status", "--run-id", "be", code=code) == ["beta"]


def test_the_package_is_the_command(capsys, monkeypatch):
    cli = CommandLine(capsys, monkeypatch)
    for words in (["grade", "She makes $18 a day.", "--gold", "18"], ["grade", "18", "--gold", "abc"]):
        done = subprocess.run(
            [sys.executable, "-m", "backtracking", *words], check=False, capture_output=True, text=True
        )
        typed = cli(*words)
        assert (done.returncode, done.stdout, done.stderr) == (typed.code, typed.out, typed.err)
