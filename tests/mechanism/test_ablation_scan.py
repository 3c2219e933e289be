"""The scan against whole forwards, and what it selects on planted models."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from backtracking.config.schema import AnalysisConfig
from backtracking.mechanism.ablation_scan import (
    CHANGES,
    Donors,
    Removal,
    Scanner,
    ScanResult,
    head_sites,
    importance_table,
    scanned_sites,
)
from backtracking.mechanism.passes import Site
from backtracking.mechanism.selection import add_scores, localisation, selected

from .oracle import Change, chances, readings, whole_forward
from .worlds import ID, PIECES, STOP, WAIT, Plant, Rows, open_weighed, planted, random_model, write_run

CONFIG = AnalysisConfig(batch_tokens=512)


def _scan(loaded, ctx, removals):
    study = open_weighed(ctx)
    scan = Scanner(loaded, removals, CONFIG)
    onsets = dict(scan(study.items))
    controls = dict(scan([study.item(number, control) for number, control in study.matched.items()]))
    return ScanResult.of(removals, study.events, [onsets[k] for k in range(len(onsets))], controls)


def one_by_one(loaded, item, removals, donors):
    """One whole forward per removal by the oracle, and every reading by its definition."""
    reading, target = item
    _, before = whole_forward(loaded.model, reading.seen)
    family, triggers = (
        chances(loaded.model, reading.seen, part.phrases) for part in (target.family, target.triggers)
    )
    changes = {name: [] for name in CHANGES}
    for removal in removals:
        value = {"zero": 0.0, "scale": CONFIG.ablation_scale}.get(removal.mode)
        if value is None:
            value = donors.values(removal.mode, [reading])[removal.site][0, -1 - removal.back]
        site, position = removal.site, len(reading.seen) - 1 - removal.back
        change = Change(site.component, site.layer, site.head, position, value)
        _, after = whole_forward(loaded.model, reading.seen, [change])
        found = readings(
            before, after, onset=target.onset, family=family, triggers=triggers,
            contrast=target.contrast, next_id=reading.next_id,
        )  # fmt: skip
        for name in CHANGES:
            changes[name].append(found[name])
    return changes


@pytest.mark.parametrize("mode", ["zero", "scale", "mean", "resample"])
def test_scan_equals_one_forward_per_component(tmp_path, mode):
    loaded = random_model()
    study = open_weighed(write_run(tmp_path, loaded, Rows(problems=3).build()))
    donors = Donors(loaded, [event.controls["matched_row"] for event in study.events], budget=512, seed=0)
    removals = [Removal(site, mode) for site in scanned_sites(loaded, CONFIG)]
    found = dict(Scanner(loaded, removals, CONFIG, donors)(study.items))
    for number, item in enumerate(study.items):
        slow = one_by_one(loaded, item, removals, donors)
        for name in CHANGES:
            np.testing.assert_allclose(found[number][name], slow[name], atol=1e-4, rtol=1e-4, err_msg=name)
    assert np.abs(found[0]["logit"]).max() > 0.1


@pytest.mark.parametrize("mode", ["mean", "resample"])
def test_donors_are_the_outputs_at_the_controls(tmp_path, mode):
    """By the test's own hooks on whole rows, at control positions read off the rows."""
    loaded = random_model()
    records = Rows(problems=3, samples=2).build()
    study = open_weighed(write_run(tmp_path, loaded, records))
    controls = [event.controls["matched_row"] for event in study.events]
    donors = Donors(loaded, controls, budget=40, seed=0)
    removal = Removal(Site("mlp", 1), mode)
    reading, target = study.items[0]
    found = dict(Scanner(loaded, [removal], CONFIG, donors)([(reading, target)]))[0]
    mlp = loaded.model.model.layers[1].mlp
    rows = {(record.example_id, record.sample_id): record for record in records}
    at_controls = []
    for event in study.events:
        # The onset is the only " Wait" of its row; the control is the sentence start nearest to its place.
        onset = rows[event.at.example_id, event.at.sample_id].completion_ids.index(WAIT)
        partner = rows[event.controls["matched_row"].example_id, event.controls["matched_row"].sample_id]
        assert WAIT not in partner.completion_ids
        starts = [k + 1 for k, token in enumerate(partner.completion_ids[:-1]) if token == STOP]
        start = min(starts, key=lambda k: abs(np.log((k + 1) / (onset + 1))))
        kept = []
        handle = mlp.register_forward_hook(lambda _, __, output, kept=kept: kept.append(output))
        with torch.no_grad():
            loaded.model(input_ids=torch.tensor([[*partner.prompt_ids, *partner.completion_ids]]))
        handle.remove()
        at_controls.append(kept[0][0, partner.prompt_tokens + start - 1])
    candidates = [torch.stack(at_controls).mean(0)] if mode == "mean" else at_controls
    expected = []
    for candidate in candidates:

        def put(_, __, output, candidate=candidate):
            output = output.clone()
            output[:, -1] = candidate
            return output

        ids = torch.tensor([reading.seen])
        with torch.no_grad():
            before = loaded.model(input_ids=ids).logits[0, -1, WAIT]
            handle = mlp.register_forward_hook(put)
            expected.append(float(loaded.model(input_ids=ids).logits[0, -1, WAIT] - before))
            handle.remove()
    assert np.ptp(expected) > 0.01 or mode == "mean"
    assert min(abs(found["logit"][0] - value) for value in expected) < 1e-4


def test_modes_ride_together(tmp_path):
    """All modes and positions in one scan give what each gives alone."""
    loaded = random_model()
    study = open_weighed(write_run(tmp_path, loaded, Rows(problems=2).build()))
    donors = Donors(
        loaded, [event.controls["matched_row"] for event in study.events], tail=3, budget=512, seed=0
    )
    sites = scanned_sites(loaded, CONFIG)
    removals = [Removal(site, mode) for mode in ("mean", "zero", "resample", "scale") for site in sites]
    removals += [Removal(site, "zero", back) for site in sites for back in (1, 2)]
    removals += [Removal(site) for site in head_sites(loaded, CONFIG)]
    found = dict(Scanner(loaded, removals, CONFIG, donors)(study.items))
    slow = one_by_one(loaded, study.items[1], removals, donors)
    for name in CHANGES:
        np.testing.assert_allclose(found[1][name], slow[name], atol=1e-4, rtol=1e-4, err_msg=name)


def test_changes_by_hand(tmp_path):
    """Every reported change recomputed from probabilities, for one removal by the test's own hook."""
    loaded = random_model()
    study = open_weighed(write_run(tmp_path, loaded, Rows(problems=2).build()))
    reading, target = study.items[0]
    found = dict(Scanner(loaded, [Removal(Site("mlp", 2))], CONFIG)([(reading, target)]))[0]
    ids = torch.tensor([reading.seen])

    def drop_last(_, __, output):
        output = output.clone()
        output[:, -1] = 0.0
        return output

    with torch.no_grad():
        before = loaded.model(input_ids=ids).logits[0, -1].double()
        handle = loaded.model.model.layers[2].mlp.register_forward_hook(drop_last)
        after = loaded.model(input_ids=ids).logits[0, -1].double()
        handle.remove()
    p, q = before.softmax(-1), after.softmax(-1)
    family = [ID[" Wait"], ID["Wait"], ID[" wait"]]
    weight = torch.zeros(len(PIECES), dtype=torch.double)
    weight[[*family, ID[" Actually"]]] = 1.0
    with torch.no_grad():
        for first, rest in ((" But", [" wait", " Wait"]), (" Hold", [" on"])):
            ids = torch.tensor([[*reading.seen, ID[first]]])
            goes_on = loaded.model(input_ids=ids).logits[0, -1].double().softmax(-1)
            weight[ID[first]] = goes_on[[ID[piece] for piece in rest]].sum()
    go_on = [ID[" So"], ID[" Then"]]

    def odds(share):
        return torch.log(share / (1 - share))

    expected = {
        "logit": after[WAIT] - before[WAIT],
        "logprob": torch.log(q[WAIT] / p[WAIT]),
        "family": torch.log(q[family].sum() / p[family].sum()),
        "log_odds": odds(q[family].sum()) - odds(p[family].sum()),
        "triggers": torch.log((q * weight).sum() / (p * weight).sum()),
        "trigger_log_odds": odds((q * weight).sum()) - odds((p * weight).sum()),
        "gap": (after[WAIT] - after[go_on].mean()) - (before[WAIT] - before[go_on].mean()),
        "next_logprob": torch.log(q[reading.next_id] / p[reading.next_id]),
        "kl": (p * torch.log(p / q)).sum(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx([float(value)], abs=1e-4), name


def test_planted_writer_and_finder_are_found(tmp_path):
    plant = Plant(writers=(4,), finder=(1, 2))
    loaded = planted(plant)
    ctx = write_run(tmp_path, loaded, Rows().build())
    result = _scan(loaded, ctx, [Removal(site) for site in scanned_sites(loaded, CONFIG)])
    table = add_scores(importance_table(result), result, CONFIG)
    for rule in ("selectivity", "effect"):
        assert selected(table, rule, 1) == {"attn": [1], "mlp": [4]}
        verdict = localisation(table, rule)
        assert verdict["localised"]
        assert set(verdict["components"]) == {"attn 1", "mlp 4"}
    heads = _scan(loaded, ctx, [Removal(site) for site in head_sites(loaded, CONFIG)])
    head_table = add_scores(importance_table(heads), heads, CONFIG)
    strongest = head_table.loc[head_table["effect"].idxmax()]
    assert (strongest["layer"], strongest["head"]) == plant.finder


@pytest.mark.parametrize("push", [1.0, 8.0])
def test_a_diffuse_push_is_not_called_localised(tmp_path, push):
    """Every layer finds the marker and writes a sixth."""
    finders = [(layer, 2) for layer in range(6)]
    loaded = planted(
        Plant(finder=finders[0], more_finders=tuple(finders[1:]), writers=tuple(range(6)), push=push)
    )
    ctx = write_run(tmp_path, loaded, Rows().build())
    result = _scan(loaded, ctx, [Removal(site) for site in scanned_sites(loaded, CONFIG)])
    table = add_scores(importance_table(result), result, CONFIG)
    assert len(table) == 12 and table["delta_trigger_log_odds"].between(-1.0, 0.05).all()
    for rule in ("selectivity", "effect"):
        verdict = localisation(table, rule)
        assert verdict["localised"] is False and verdict["components"] == []
        assert verdict["effective_components"] > 6


def test_of_one_finder_and_many_writers_the_finder_alone_stands_out(tmp_path):
    loaded = planted(Plant(finder=(0, 2), writers=tuple(range(6))))
    ctx = write_run(tmp_path, loaded, Rows().build())
    result = _scan(loaded, ctx, [Removal(site) for site in scanned_sites(loaded, CONFIG)])
    writers = result.where(lambda removal: removal.site.component == "mlp")
    for rule in ("selectivity", "effect"):
        table = add_scores(importance_table(result), result, CONFIG)
        assert localisation(table, rule)["components"] == ["attn 0"]
        of_writers = localisation(add_scores(importance_table(writers), writers, CONFIG), rule)
        assert of_writers["localised"] is False and of_writers["effective_components"] > 5


def test_who_changes_the_word_is_no_writer(tmp_path):
    """One MLP writes " Actually", a later one turns it into " Wait": without it as many onsets come."""
    loaded = planted(Plant(writers=(3,), swapper=5))
    result = _scan(
        loaded,
        write_run(tmp_path, loaded, Rows().build()),
        [Removal(site) for site in scanned_sites(loaded, CONFIG)],
    )
    table = add_scores(importance_table(result), result, CONFIG)
    writer, swapper = (table.query(f"component == 'mlp' and layer == {layer}").iloc[0] for layer in (3, 5))
    assert writer["delta_trigger_log_odds"] < -2
    assert swapper["delta_log_odds"] < -3 and abs(swapper["delta_trigger_log_odds"]) < 0.3
    assert swapper["delta_word"] < -3
    assert set(localisation(table, "selectivity")["components"]) == {"attn 1", "mlp 3"}
    by_family = replace(result, onset={**result.onset, "trigger_log_odds": result.onset["log_odds"]})
    by_word = add_scores(table, by_family, CONFIG)
    assert "mlp 5" in localisation(by_word, "selectivity")["components"], "the plant would show by its word"


def test_controls_of_one_problem_allow_no_verdict(tmp_path):
    loaded = planted(Plant())
    result = _scan(
        loaded,
        write_run(tmp_path, loaded, Rows().build()),
        [Removal(site) for site in scanned_sites(loaded, CONFIG)],
    )
    for values in result.control.values():
        values[1:] = np.nan
    table = add_scores(importance_table(result), result, CONFIG)
    assert table["selectivity"].notna().all() and table["selectivity_p_holm"].isna().all()
    assert localisation(table, "selectivity")["localised"] is None
    assert localisation(table, "effect")["localised"]


def test_a_layer_that_breaks_everything_is_not_selected(tmp_path):
    """An attention block that holds the stream together has the larger effect, but damages every position."""
    loaded = planted(Plant(writers=(4,)))
    with torch.no_grad():
        first = loaded.model.model.layers[0].self_attn
        # Every embedding carries a huge component that attention 0 cancels; else the norms drown the rest.
        loaded.model.model.embed_tokens.weight[:, len(PIECES) :][:, 5] += 60.0
        first.v_proj.weight.zero_()
        first.v_proj.bias.zero_()
        first.v_proj.bias[48] = 60.0
        first.o_proj.weight[:, 48] = 0.0
        first.o_proj.weight[len(PIECES) + 5, 48] = -1.0
    result = _scan(
        loaded,
        write_run(tmp_path, loaded, Rows().build()),
        [Removal(s) for s in scanned_sites(loaded, CONFIG)],
    )
    table = add_scores(importance_table(result), result, CONFIG)
    breaker = table[(table["component"] == "attn") & (table["layer"] == 0)].iloc[0]
    assert breaker["kl_control"] > CONFIG.max_collateral
    assert 0 in selected(table, "effect", 2)["attn"]
    assert 0 not in selected(table, "selectivity", 6)["attn"]


def test_tables_have_the_contracts_columns(tmp_path):
    loaded = random_model()
    result = _scan(loaded, write_run(tmp_path, loaded, Rows(problems=4).build()), [Removal(Site("attn", 1))])
    table = importance_table(result)
    assert list(table.columns[:5]) == [
        "layer", "component", "delta_wait_logit_mean", "delta_wait_logit_std", "n_events",
    ]  # fmt: skip
    values = pd.Series(result.onset["logit"][:, 0])
    assert table["delta_wait_logit_mean"].iloc[0] == pytest.approx(values.mean())
    assert table["delta_wait_logit_std"].iloc[0] == pytest.approx(values.std())
