"""A new kind of onset is two files: its name and key in the config, and its rules; the rest follows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

from backtracking.config.onsets import TURN_KINDS, OnsetKind, StudiedOnsets, TurnSection

SOURCE = Path(__file__).parents[2] / "src" / "backtracking"
KEY = """
    praise: tuple[OnsetRule, ...] | None = None
    \"\"\"Rules for praise; null means the bundled ones.\"\"\"
"""
TOLD = """
import json
from backtracking.artifacts import phase1
from backtracking.config.schema import DetectionConfig
from backtracking.measurements import metrics
from backtracking.measurements.events import EVENT_COLUMNS
from backtracking.explore import facets
from backtracking.reports.rows_behind import FILTERS
from backtracking.text.onsets import Detector
turns = Detector(DetectionConfig()).turns("Well done, that was it. Wait, no.")
print(json.dumps({
    "found": [(turn.phrase, turn.kind) for turn in turns if turn.kind == "praise"],
    "events": [name for name in EVENT_COLUMNS if "praise" in name],
    "rates": [name for name in phase1.FORMATS.columns if "praise" in name],
    "described": all(phase1.EVENTS.meaning(name) for name in EVENT_COLUMNS),
    "options": [one.value for facet in facets.ONSETS for one in facet.options if one.value == "praise"],
    "bits": facets.onset_bits([{"kind": "praise", "region": "think", "preceded_by_error": None}]) > 0,
    "linked": FILTERS["praise_rate"],
}))
"""


def test_every_kind_has_a_key_and_an_analysis():
    assert tuple(TurnSection.model_fields) == TURN_KINDS
    assert set(TURN_KINDS) < set(get_args(OnsetKind)) and set(TURN_KINDS) < set(get_args(StudiedOnsets))


def test_a_new_kind_is_counted_and_rated_everywhere(tmp_path):
    copy = tmp_path / "backtracking"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    kinds = copy / "config" / "onsets.py"
    text = kinds.read_text()
    listed = 'TurnKind = Literal["doubt", "redo"]'
    assert text.count(listed) == 1
    kinds.write_text(text.replace(listed, 'TurnKind = Literal["doubt", "redo", "praise"]') + KEY)
    (copy / "assets" / "onsets" / "praise.yaml").write_text("- phrases: [well done]\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", TOLD], env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["found"] == [["well done", "praise"]]
    assert found["events"] == ["has_praise", "n_onsets_praise"]
    assert {"praise_rate", "praises_per_1k_tokens", "praise_diff", "praise_count"} <= set(found["rates"])
    assert found["described"]
    assert found["options"] == ["praise"] and found["bits"] and found["linked"] == {"kind": "praise"}
