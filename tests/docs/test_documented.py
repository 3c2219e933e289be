"""What README and docs show in a fence works: commands, Python and YAML, in order, in a fresh checkout."""

import re

import pytest

from backtracking.config.load import load_config
from tests.docs.checkout import make_checkout, run_block, run_python, warmed
from tests.docs.fences import COMMANDS, NOT_RUN, PYTHON, ROOT, YAML, all_fences

FENCES = all_fences()
COMMAND = re.compile(
    r"^(backtracking|make|python|pip|pip-audit|git|docker|sbatch|kubectl|scripts/\S+) ", re.MULTILINE
)
SHOWN_ONLY = {
    "backtracking calibrate": "half an hour; tests/calibration runs a small one to its page",
    "make torture": "hundreds of trials, hours",
    "make mutate": "hundreds of changed programs, hours",
    "pip-audit": "asks a database on the network",
    "backtracking run -c study.yaml --address": "needs a cluster; tests/executor runs one on this machine",
}
"""Blocks of commands that are not typed here, by how they begin, and what stands for them."""


def test_every_fence_says_what_it_is():
    """A block without a language that is known here would go untested."""
    unknown = [fence.place for fence in FENCES if fence.language not in (COMMANDS, PYTHON, YAML, *NOT_RUN)]
    assert not unknown, f"use sh, python or yaml, and text for output: {unknown}"
    assert {fence.language for fence in FENCES} >= {COMMANDS, PYTHON, YAML}


def test_commands_that_are_only_shown_have_a_reason():
    shown = [fence for fence in FENCES if fence.language in NOT_RUN and COMMAND.search(fence.text)]
    unexplained = [fence.place for fence in shown if not fence.text.startswith(tuple(SHOWN_ONLY))]
    assert not unexplained, f"use sh, so that they are tested: {unexplained}"
    assert len(shown) == len(SHOWN_ONLY)


@pytest.mark.parametrize("fence", [f for f in FENCES if f.language == YAML], ids=lambda fence: fence.place)
def test_documented_yaml_is_a_config(fence, tmp_path):
    parent = "demo_phase2.yaml" if "phase2:" in fence.text else "demo.yaml"
    head = "" if fence.text.startswith("extends:") else f"extends: {ROOT / 'configs' / parent}\n"
    (tmp_path / "shown.yaml").write_text(head + fence.text)
    load_config(tmp_path / "shown.yaml")


@pytest.mark.slow
def test_documented_commands_work_in_a_fresh_checkout(tmp_path):
    """One after the other, as a reader would type them; all that fail are told at once."""
    failed = []
    with warmed(make_checkout(tmp_path / "checkout")) as checkout:
        for fence in (fence for fence in FENCES if fence.language == COMMANDS):
            done = run_block(fence, checkout)
            if done.returncode:
                failed.append(f"{fence.place}: exit {done.returncode}\n{(done.stdout + done.stderr)[-1500:]}")
        for page in dict.fromkeys(fence.page for fence in FENCES if fence.language == PYTHON):
            blocks = [fence for fence in FENCES if fence.page == page and fence.language == PYTHON]
            done = run_python("\n".join(fence.text for fence in blocks), checkout)
            if done.returncode:
                failed.append(f"{blocks[0].place}: the page's Python\n{done.stderr[-1500:]}")
    assert not failed, "\n\n".join(failed)
