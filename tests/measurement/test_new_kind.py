"""A new kind of onset is two files: its name and key in the config, and its rules; the rest follows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

from backtracking.config.onsets import THE_WRITER, TURN_KINDS, OnsetKind, StudiedOnsets, TurnSection

SOURCE = Path(__file__).parents[2] / "src" / "backtracking"
KEY = """
    praise: tuple[OnsetRule, ...] | None = None
    \"\"\"Rules for praise; null means the bundled ones.\"\"\"
"""
TOLD = """
import json
from backtracking.artifacts import labels as about_labels, phase1
from backtracking.config.schema import DetectionConfig
from backtracking.measurements import metrics
from backtracking.measurements.events import EVENT_COLUMNS
from backtracking.explore import facets
from backtracking.measurements import labels, quality
from backtracking.reports import rates
from backtracking.reports.rows_behind import FILTERS
from backtracking.sources.labels import label_map
from backtracking.text.onsets import Detector
from backtracking.text.onsets.scorer import Scorer, CLASSES, BUCKETS
import numpy as np
import pandas as pd
class Evidence:
    holds = staticmethod(lambda table, column: True)
class Page:
    evidence = Evidence
text = "Well done, that was it. It is 5."
scorer = Scorer(np.zeros((len(CLASSES), BUCKETS)), np.zeros(len(CLASSES)))
spans = [(0, 23, "praise"), (24, len(text), "none")]
judged = pd.DataFrame(quality.judged("q", text, spans, Detector(DetectionConfig()), scorer))
scores = quality.quality_table(judged).set_index(["target", "detector"])
confusion = quality.confusion_table(judged).set_index(["kind", "phrase"])
turns = Detector(DetectionConfig()).turns("Well done, that was it. Wait, no.")
print(json.dumps({
    "found": [(turn.phrase, turn.kind) for turn in turns if turn.kind == "praise"],
    "events": [name for name in EVENT_COLUMNS if "praise" in name],
    "rates": [name for name in phase1.FORMATS.columns if "praise" in name],
    "described": all(phase1.EVENTS.meaning(name) for name in EVENT_COLUMNS),
    "options": [one.value for facet in facets.ONSETS for one in facet.options if one.value == "praise"],
    "bits": facets.onset_bits([{"kind": "praise", "region": "think", "preceded_by_error": None}]) > 0,
    "linked": FILTERS["praise_rate"],
    "mapped": label_map(["Lob=praise"])["lob"],
    "precision": scores.loc[("praise", "praise"), "precision"],
    "missed_by_doubt": int(scores.loc[("praise", "doubt"), "misses"]),
    "confused": int(confusion.loc[("praise", "well done"), "praise"]),
    "drawn": labels.STRATA["praise"] > 0 and "praise" in labels.DETECTORS,
    "shares": sum(labels.STRATA.values()),
    "labelled": all("praise" in table.columns for table in (about_labels.CONFUSION, about_labels.LABEL_KEY)),
    "said": rates._what_rules_find(Page),
    "reported": "praise_rate" in rates.RATES and "praise_rate" in rates.RATE_COLUMNS,
}))
"""


def test_every_kind_has_a_key_and_an_analysis():
    assert tuple(TurnSection.model_fields) == tuple(THE_WRITER) == TURN_KINDS
    assert set(TURN_KINDS) < set(get_args(OnsetKind)) and set(TURN_KINDS) < set(get_args(StudiedOnsets))


def test_a_new_kind_is_counted_and_rated_everywhere(tmp_path):
    copy = tmp_path / "backtracking"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    kinds = copy / "config" / "onsets.py"
    text = kinds.read_text()
    listed = 'TurnKind = Literal["doubt", "redo"]'
    assert text.count(listed) == 1
    text = text.replace(listed, 'TurnKind = Literal["doubt", "redo", "praise"]')
    told_of = "THE_WRITER: Mapping[TurnKind, str] = {"
    assert text.count(told_of) == 1
    kinds.write_text(text.replace(told_of, told_of + ' "praise": "is glad of what was written",') + KEY)
    (copy / "assets" / "onsets" / "praise.yaml").write_text("- phrases: [well done]\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", TOLD], env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["found"] == [["well done", "praise"]]
    assert found["events"] == ["has_praise", "n_onsets_praise"]
    assert {"praise_rate", "praises_per_1k_tokens", "praise_diff", "praise_count"} <= set(found["rates"])
    assert found["described"]
    assert found["mapped"] == "praise" and found["precision"] == 1 and found["missed_by_doubt"] == 1
    assert found["confused"] == 1 and found["labelled"]
    assert found["drawn"] and abs(found["shares"] - 1) < 1e-9
    assert "praise is glad of what was written" in found["said"] and found["reported"]
    assert found["options"] == ["praise"] and found["bits"] and found["linked"] == {"kind": "praise"}
