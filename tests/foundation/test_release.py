"""What a release carries: files that other tools read, and extras that the default path does without."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backtracking import __version__

ROOT = Path(__file__).parents[2]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_hosted_workflow_runs_the_same_script_as_everywhere():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    tests = workflow["jobs"]["tests"]
    assert tests["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "bash .ci/run" in [step.get("run") for step in tests["steps"]]


def test_a_search_without_optuna_says_what_to_install():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from backtracking.errors import UserError\n"
        "from backtracking.sweeps import search\n"
        "from backtracking.config.phase2 import SearchConfig\n"
        "try:\n    search._study([('attn', 0)], SearchConfig(), 0)\n"
        "except UserError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "backtracking[search]" in done.stdout


@pytest.mark.parametrize("where", ["README.md", "docs/index.md", "mkdocs.yml"])
def test_every_page_is_listed(where):
    listed = (ROOT / where).read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert not {page for page in pages if page not in listed}


def test_a_commit_is_checked_by_what_make_lint_runs():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    by_make = {line.split()[0] for line in recipe.split("@$(BIN)/")[1:]}
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    by_hooks = {Path(hook["entry"].split()[0]).name for hook in config["repos"][0]["hooks"]}
    assert by_hooks == by_make == {"ruff", "mypy", "shellcheck"}


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path):
    pytest.importorskip("mkdocs")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        tmp_path / "site",
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").exists()
