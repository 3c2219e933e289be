"""Onsets sampled again: planted models of which it is known how often they come again."""

import dataclasses

import numpy as np
import pytest

from backtracking.artifacts import readings
from backtracking.config.schema import DetectionConfig
from backtracking.engine.generate import SamplingParams
from backtracking.measurements.stability import stability_summary, stability_table, stable_onsets
from backtracking.mechanism.stability import Again, sample_again
from backtracking.run import io
from backtracking.stages.execute import execute, status_of
from backtracking.stages.phase1.logit_lens import LogitLens
from backtracking.stages.phase1.onset_stability import OnsetStability
from backtracking.stages.phase1.onset_study import open_study
from backtracking.text.onsets import Detector

from .oracle import chances, whole_forward
from .worlds import VARIANT, Plant, Rows, open_weighed, planted, write_run

DETECTOR = Detector(DetectionConfig())


def _again(loaded, positions, samples, **changes):
    how = Again(samples, window=1, sampling=SamplingParams(1, 1.0, 1.0), seed=3)
    wanted = [(at, sample) for at in positions for sample in range(samples)]
    found = dict(sample_again(loaded, wanted, DETECTOR, dataclasses.replace(how, **changes)))
    return [[found[k * samples + sample] for sample in range(samples)] for k in range(len(positions))]


@pytest.mark.parametrize("push", [2.0, 3.5])
def test_an_onset_comes_again_as_often_as_the_model_says(tmp_path, push):
    """The share with an onset at once is the probability of all triggers, read by plain calls."""
    loaded = planted(Plant(push=push))
    study = open_weighed(write_run(tmp_path, loaded, Rows().build()))
    positions = [event.at for event in study.events]
    expected = []
    for at, target in study.items:
        share = whole_forward(loaded.model, at.seen)[1].double().softmax(-1)
        weights = chances(loaded.model, at.seen, target.triggers.phrases)
        expected.append(sum(float(share[token]) * chance for token, chance in weights.items()))
    begins = _again(loaded, positions, 40)
    shares = [np.mean([begin == 0 for begin in some]) for some in begins]
    assert 0.02 < np.mean(expected) < 0.98
    assert np.mean(shares) == pytest.approx(np.mean(expected), abs=4 * 0.5 / np.sqrt(40 * len(positions)))


def test_a_model_without_chance_repeats_itself(tmp_path):
    loaded = planted(Plant())
    study = open_study(write_run(tmp_path, loaded, Rows(problems=4).build()), VARIANT)
    greedy = SamplingParams(1, do_sample=False)
    for event in study.events:
        at_onset, at_control = _again(loaded, event.positions[:2], 3, sampling=greedy)
        assert at_onset == [0, 0, 0]
        assert len(set(at_control)) == 1 and at_control[0] != 0


def test_neither_order_nor_company_has_a_part_in_it(tmp_path):
    loaded = planted(Plant(push=3.0))
    study = open_study(write_run(tmp_path, loaded, Rows(problems=3).build()), VARIANT)
    positions = [at for event in study.events for at in event.positions]
    together = _again(loaded, positions, 6, window=4)
    assert _again(loaded, positions[::-1], 6, window=4)[::-1] == together
    assert [_again(loaded, [at], 6, window=4)[0] for at in positions] == together
    assert _again(loaded, positions, 6, window=4, seed=4) != together
    assert len({tuple(some) for some in together}) > 3


def _context(folder, rows=None, **analysis):
    asked = {"stability_events": 12, "stability_samples": 4, "stability_window": 2, **analysis}
    return write_run(folder, planted(Plant()), rows or Rows(problems=6).build(), **asked)


def test_the_stage_says_how_stable_onsets_are(tmp_path):
    ctx = _context(tmp_path)
    execute(OnsetStability(VARIANT), ctx)
    table, summary = readings.STABILITY.read(ctx.paths), readings.STABILITY_SUMMARY.read(ctx.paths)
    assert not readings.STABILITY.foreign(table) and not readings.STABILITY_SUMMARY.foreign(summary)
    assert table["position_kind"].value_counts().to_dict() == {"onset": 12, "matched_row": 12}
    by_kind = summary.set_index("position_kind")
    assert table.loc[table["position_kind"] == "onset", "greedy_onset"].all(), (
        "there the trigger is likeliest"
    )
    assert by_kind.loc["onset", "share"] > 0.95 and by_kind.loc["onset", "stable_share"] == 1.0
    assert by_kind.loc["matched_row", "share"] < 0.3
    assert readings.STABILITY_FIGURE.path(ctx.paths).stat().st_size > 5_000
    assert status_of(OnsetStability(VARIANT), ctx).state == "done"


def test_an_interrupted_stage_goes_on(tmp_path, monkeypatch):
    whole = _context(tmp_path / "whole")
    execute(OnsetStability(VARIANT), whole)
    ctx, original, kept = _context(tmp_path / "cut"), io.JsonlAppender.append, []

    def stop_after(self, row, limit):
        if len(kept) == limit:
            raise KeyboardInterrupt
        kept.append(row.key)
        original(self, row)

    monkeypatch.setattr(io.JsonlAppender, "append", lambda self, row: stop_after(self, row, 30))
    with pytest.raises(KeyboardInterrupt):
        execute(OnsetStability(VARIANT), ctx)
    monkeypatch.setattr(io.JsonlAppender, "append", lambda self, row: stop_after(self, row, 1000))
    execute(OnsetStability(VARIANT), ctx)
    assert len(kept) == 96 + 24 and len(set(kept)) == 96, "every continuation is written once"
    assert readings.STABILITY.read(ctx.paths).equals(readings.STABILITY.read(whole.paths))


def test_analyses_can_keep_to_stable_onsets(tmp_path):
    ctx = _context(tmp_path, stability="stable")
    assert status_of(LogitLens(VARIANT), ctx).state == "missing"
    execute(OnsetStability(VARIANT), ctx)
    ctx.meta.stages[OnsetStability(VARIANT).key].outputs.clear()  # what is written below is nobody's
    table = readings.STABILITY.read(ctx.paths)
    onsets = table.index[table["position_kind"] == "onset"]
    table.loc[onsets[:7], "share"] = 0.49
    table.loc[onsets[7:], "share"] = 0.5
    readings.STABILITY.write(ctx.paths, table)
    execute(LogitLens(VARIANT), ctx)
    assert ctx.meta.stages[LogitLens(VARIANT).key].notes["events"] == 5
    studied = readings.CONTROLS.read(ctx.paths)
    keys = set(zip(studied["example_id"], studied["sample_id"], studied["pred_pos"], strict=True))
    assert keys == stable_onsets(table, VARIANT, 0.5)
    table["share"] = 0.0
    readings.STABILITY.write(ctx.paths, table)
    outcome = execute(LogitLens(VARIANT), ctx)
    assert "stable onset" in outcome.not_testable


def test_without_onsets_there_is_nothing_to_sample(tmp_path):
    rows = [record for record in Rows(problems=6).build() if record.sample_id >= 2]
    outcome = execute(OnsetStability(VARIANT), _context(tmp_path, rows))
    assert outcome.not_testable.startswith("no onsets in")


def test_shares_by_hand(tmp_path):
    study = open_study(_context(tmp_path), VARIANT)
    begins = {at: [0, 1, 2, None] for event in study.events for at in event.positions}
    greedy = {at: [1 if event.at == at else None] for event in study.events for at in event.positions}
    table = stability_table(study.events, begins, greedy, window=2, variant=VARIANT)
    assert table["share"].eq(0.5).all() and table["at_once"].eq(1).all() and table["with_onset"].eq(2).all()
    assert table["greedy_onset"].equals(table["position_kind"].eq("onset"))
    late = stability_table(study.events, begins, greedy, window=1, variant=VARIANT)
    assert not late["greedy_onset"].any(), "an onset beyond the window is another one"
    stable, unstable = (
        stability_summary(table, share).set_index("position_kind")["stable_share"] for share in (0.5, 0.51)
    )
    assert stable.eq(1.0).all() and unstable.eq(0.0).all()
