"""What a stage reads is what was written: whatever was changed in between is refused, by its name."""

import json
import shutil
from pathlib import Path

import pytest

from backtracking.mechanism.partial import compute_resumably
from backtracking.run.progress import Quiet
from tests.foundation.command import assert_one_clear_message

DEMO = Path("runs/demo")
READ = {
    "analysis/backtracking_events.csv": ["compare-conditions", "--run-id", "demo"],
    "analysis/selected_layers.json": ["generate", "--run-id", "demo", "--condition", "targeted_ablation"],
    "analysis/onsets.csv": ["logit-lens", "--run-id", "demo", "--variant", "baseline_think_newline"],
    "dataset.jsonl": ["detect-events", "--run-id", "demo"],
}


def change_a_digit(path: Path) -> None:
    """One digit in the middle becomes the next."""
    data = bytearray(path.read_bytes())
    digits = [k for k, byte in enumerate(data) if byte in b"012345678"]
    place = digits[len(digits) // 2]
    data[place] += 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", READ)
def test_a_changed_digit_is_refused_by_the_stage_that_reads_it(name, run, cli):
    path = DEMO / name
    whole = path.read_bytes()
    change_a_digit(path)
    refused = cli(*READ[name], "--force")
    assert_one_clear_message(
        refused, path.name, "changed after it was made", "backtracking run --run-id demo"
    )
    path.write_bytes(whole)
    assert cli(*READ[name]).code == 0


def test_phase2_refuses_a_changed_table_of_phase1(run, cli):
    change_a_digit(DEMO / "analysis/backtracking_events.csv")
    refused = cli("metrics-v2", "--run-id", "demo-phase2", "--force")
    assert_one_clear_message(refused, "backtracking_events.csv", "changed after", "--run-id demo")


def test_an_edited_record_of_the_config_is_not_worked_with(run, cli):
    record = DEMO / "config_resolved.yaml"
    whole = record.read_text()
    record.write_text(whole.replace("max_events: 16", "max_events: 17"))
    assert_one_clear_message(cli("status", "--run-id", "demo"), "config_resolved.yaml was changed", "--set")
    assert cli("init-run", "--run-id", "demo", "-c", record).code == 0, "named, it is a config like any other"
    assert "max_events: 17" in record.read_text()
    assert cli("status", "--run-id", "demo").code == 0
    assert "max_events: 17" in record.with_stem("config_resolved.previous").read_text()


def test_a_lost_record_of_the_config_is_written_again(run, cli, tmp_path):
    record = DEMO / "config_resolved.yaml"
    copy = shutil.copy(record, tmp_path / "kept.yaml")
    record.unlink()
    assert_one_clear_message(cli("status", "--run-id", "demo"), "--config")
    assert cli("init-run", "--run-id", "demo", "-c", copy).code == 0
    assert cli("status", "--run-id", "demo").code == 0


def test_a_record_without_a_digest_is_taken_as_it_is(run, cli):
    meta = json.loads((DEMO / "meta.json").read_text())
    del meta["config_digest"]
    (DEMO / "meta.json").write_text(json.dumps(meta))
    change_a_digit(DEMO / "config_resolved.yaml")
    assert "changed after it was written" not in cli("status", "--run-id", "demo").err


TOGETHER = [[3, 0], [1, 4], [2]]


@pytest.mark.parametrize("rows_left", range(6))
def test_numbers_do_not_depend_on_where_an_analysis_was_stopped(rows_left, tmp_path):
    """Every value names all that it was computed with; a stopped group is computed whole again."""
    path, asked = tmp_path / "values.jsonl", []

    def compute(groups):
        asked.extend(groups)
        yield from ((place, {"with": group, "place": place}) for group in groups for place in group)

    def values():
        return compute_resumably(
            path, "abcde", compute, settings="s", reporter=Quiet(), label="", together=TOGETHER
        )

    whole = values()
    assert whole[0] == {"with": [3, 0], "place": 0}
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:rows_left]))
    asked.clear()
    assert values() == whole
    assert asked == TOGETHER[{0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 3}[rows_left] :]
    assert sorted(path.read_text().splitlines()) == sorted(line.strip() for line in lines)


def test_a_value_computed_beside_others_is_computed_again(tmp_path):
    path = tmp_path / "values.jsonl"

    def values(keys, together):
        def compute(groups):
            for group in groups:
                yield from ((place, {"with": [keys[k] for k in group]}) for place in group)

        return compute_resumably(
            path, keys, compute, settings="s", reporter=Quiet(), label="", together=together
        )

    values("abc", [[0, 1], [2]])
    assert values("abcd", [[0, 3], [1, 2]])[1] == {"with": ["b", "c"]}
