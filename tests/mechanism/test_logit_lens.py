"""The lens against the model's own logits, and on planted models."""

import numpy as np
import pytest
import torch

from backtracking.measurements.controls import Reading
from backtracking.measurements.separation import first_separation
from backtracking.mechanism.logit_lens import (
    WINDOW,
    LensReadings,
    items_of,
    lens_table,
    read_lens,
    window_table,
)
from backtracking.mechanism.readouts import Openings, Target
from backtracking.stages.phase1.onset_study import open_study

from .worlds import GLITCH, ID, VARIANT, WAIT, Plant, Rows, planted, random_model, write_run

FAMILY = (ID[" Wait"], ID["Wait"], ID[" wait"])
OPENINGS = Openings.of((token,) for token in FAMILY)
TARGET = Target(WAIT, OPENINGS, OPENINGS, {"continue": (ID[" So"], ID[" Then"]), "end": (ID["<eos>"],)})


def _readings(loaded, ctx):
    study = open_study(ctx, VARIANT)
    keys, items = items_of(study)
    found = dict(read_lens(loaded, items, budget=256))
    return study, LensReadings(study.events, {key: found[k] for k, key in enumerate(keys)})


def _random_readings(count=5):
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        ids = torch.randint(3, len(ID), (6 + 5 * number,), generator=generator).tolist()
        yield Reading("p", number, tuple(ids), 2, len(ids) - 2)


def test_every_layer_against_a_forward_of_its_own():
    """Layer by layer: cut the model there and let it finish on its own; the last is the model itself."""
    loaded = random_model()
    readings = list(_random_readings())
    found = dict(read_lens(loaded, [(reading, TARGET) for reading in readings], budget=40))
    for number, reading in enumerate(readings):
        ids = torch.tensor([reading.ids])
        with torch.no_grad():
            states = loaded.model(input_ids=ids, output_hidden_states=True)
            by_layer = [loaded.readout(state)[0] for state in states.hidden_states[1:-1]] + [states.logits[0]]
        for layer, logits in enumerate(by_layer):
            log_probs = logits[reading.pos].log_softmax(-1)
            mass = log_probs.exp()[list(FAMILY)].sum().log()
            better = sum(float(value) > float(logits[reading.pos, WAIT]) for value in logits[reading.pos])
            mine = {name: found[number][name][layer] for name in ("logit", "logprob", "rank", "family")}
            expected = [logits[reading.pos, WAIT], log_probs[WAIT], better, mass]
            np.testing.assert_allclose(
                list(mine.values()), [float(x) for x in expected], rtol=1e-4, atol=1e-4
            )


def test_window_reads_each_position_and_leaves_those_before_the_row_empty():
    loaded = random_model()
    reading = next(_random_readings())
    ((_, found),) = read_lens(loaded, [(reading, TARGET)], budget=1000)
    with torch.no_grad():
        log_probs = loaded.model(input_ids=torch.tensor([reading.ids])).logits[0].log_softmax(-1)
    for place, offset in enumerate(WINDOW):
        value = found["window"][-1][place]
        if reading.pos + offset < 0:
            assert value is None
        else:
            expected = log_probs[reading.pos + offset].exp()[list(FAMILY)].sum().log()
            assert value == pytest.approx(float(expected), abs=1e-4)


def test_planted_block_is_where_onsets_part_from_controls(tmp_path):
    loaded = planted(Plant(writers=(4,)))
    study, readings = _readings(loaded, write_run(tmp_path, loaded, Rows().build()))
    table = lens_table(readings)
    assert set(table["control_matching"]) == {"matched_row", "same_row_earlier"}
    for kind in ("matched_row", "same_row_earlier"):
        assert first_separation(table[table["control_matching"] == kind]) == 4
    window = window_table(readings)
    apart = window[window["group"] == "matched_row"].pivot(
        index="layer", columns="offset", values="onset_minus_group"
    )
    assert apart.loc[4, 0] > 2 and apart.loc[:3, 0].abs().max() < 0.5
    assert apart.loc[5].idxmax() == 0, "the plant decides at one position"
    assert len(study.events) == 24 and (table["n_control"] == 24).all()


def test_controls_are_scored_on_their_own_events_token(tmp_path):
    """The events end in different onset tokens; a control must be read at its event's."""
    loaded = random_model()
    records = Rows(problems=4).build()
    _, readings = _readings(loaded, write_run(tmp_path, loaded, records))
    study = open_study(write_run(tmp_path, loaded, records), VARIANT)
    for number, event in enumerate(study.events):
        control = event.controls["matched_row"]
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.tensor([control.seen])).logits[0, -1]
        expected = float(logits[event.onset_id])
        assert readings.at["matched_row"]["logit"][number, -1] == pytest.approx(expected, abs=1e-4)


def test_no_separation_without_a_plant(tmp_path):
    loaded = planted(Plant(writers=()))
    _, readings = _readings(loaded, write_run(tmp_path, loaded, Rows().build()))
    late = lens_table(readings).query("layer == 5 and control_matching == 'matched_row'")
    assert abs(float(late["family_diff"].iloc[0])) < 0.2


def test_marker_is_in_onset_rows_only():
    for record in Rows().build():
        assert (GLITCH in record.completion_ids) == (WAIT in record.completion_ids)
