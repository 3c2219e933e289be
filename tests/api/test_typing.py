"""A user's script passes mypy's strict mode: the types of the public names ship with the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backtracking as bt

SCRIPT = """
import backtracking as bt

lm: bt.LanguageModel = bt.load("bundled", progress=False)
mine = bt.problems([{"question": "2 + 3?", "answer": 5}])
theirs = bt.problems("mine.jsonl", 20, columns={"question": "problem", "answer": "solution"})
turned_down = bt.scale("attn", 5, 0.5) + bt.zero("mlp", 3)
arms = [bt.baseline, turned_down.named("mine"), bt.suppress_triggers(), bt.random_like(turned_down, draws=3)]
rows: bt.Rows = lm.generate(mine + theirs, arms=arms, samples=2, temperature=0.7)
asked = lm.generate("What is 2 + 2?", bt.baseline)
several = lm.generate(["What is 2 + 2?", "And 3 + 3?"], samples=1)
first: str = asked[0].completion
print(len(rows), first, rows["mine"].arms, rows[:3].problems, lm.name, lm.n_layers, lm.prompt("2 + 2?"))
for record in rows + several:
    print(record.finish_reason)
words = rows.detect(["so"]).detect(lambda text: [(0, 2)])
print(words.onsets().head(), rows.accuracy(), rows.rates(), rows.compare("mine"), rows.to_pandas())
found = lm.direction(rows)
scanned = lm.scan(rows, max_events=8)
print(scanned.table, scanned.arm(0.5), lm.lens(rows).table)
steered = lm.generate(20, [bt.baseline, bt.steer(found, -2.0), bt.project(found), bt.mean("mlp", 3, rows)])
run: bt.Run = bt.open_run("runs/demo")
print(run.table("ablation_importance"), run.rows("baseline"), run.figure("logit_lens_window"), steered.arms)
verdict: str = bt.judge_answer("She makes $18 a day.", 18).verdict
print(verdict)
"""
WRONG = """
rows.missing()
lm.generate("?", samples="many")
bt.scale("attn", 5)
"""
SETTINGS = """
[mypy]
strict = true
[mypy-torch.*,transformers.*,datasets.*]
follow_imports = skip
"""
"""What docs/api.md advises: mypy would read all of torch and transformers else, for minutes."""
SOURCE = Path(__file__).parents[2] / "src"


def checked(folder, script):
    """What mypy says of a script whose errors are its own: those of installed packages are silent."""
    (folder / "script.py").write_text(script)
    (folder / "mypy.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "script.py"]
    given = os.environ | {"MYPYPATH": str(SOURCE)}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_script_over_the_public_names_is_typed(tmp_path):
    assert set(bt.__all__) <= set(re.findall(r"bt\.(\w+)", SCRIPT))
    right = checked(tmp_path, SCRIPT)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = checked(tmp_path, SCRIPT + WRONG).stdout
    lines = len(SCRIPT.splitlines())
    for number, said in enumerate(('no attribute "missing"', 'incompatible type "str"', '"factor"'), 1):
        assert re.search(rf"script\.py:{lines + number + 1}: error: .*{said}", wrong), wrong
