"""Rewrites of steps, their effect, and patching, on planted models and on the bundled reasoner."""

import random

import numpy as np
import pandas as pd
import pytest
import torch

from backtracking.artifacts.phase1 import EVENTS
from backtracking.config.schema import DetectionConfig, ModelConfig
from backtracking.figures.caption import NothingToShow
from backtracking.figures.causes import plot_patching
from backtracking.measurements.injections import Pair, Rewriter, right_steps, wrong_results
from backtracking.mechanism.error_injection import read_pairs
from backtracking.mechanism.passes import Site, components, module_at
from backtracking.mechanism.patching import GROUPS, backs, patch_pairs, patching_table
from backtracking.model.loading import load_model
from backtracking.organism.design import MAIN
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import write_trace
from backtracking.stages.execute import execute
from backtracking.stages.phase1.error_injection import ErrorInjection
from backtracking.text.onsets import Detector
from backtracking.text.onsets.triggers import Triggers
from backtracking.text.tokenization import TokenMap

from .worlds import (
    ID,
    PIECES,
    STOP,
    VARIANT,
    WORDS,
    Plant,
    make_record,
    planted,
    random_model,
    tokenizer,
    write_run,
)

FAMILY = [ID[" Wait"], ID["Wait"], ID[" wait"]]
BUT_WAIT = (ID[" But"], ID[" wait"])
PHRASES = [*((token,) for token in FAMILY), BUT_WAIT]


def test_steps_are_found_and_checked():
    text = (
        "First 3 + 4 = 7. Then 12 × 10 = 120, but 5 - 2 = 4. So 1,200 / 4 = $300. 2.5*2 = 5. 1 + 2 + 3 = 6."
    )
    found = [(step.left, step.right, step.result, step.commutes) for step in right_steps(text)]
    assert found == [
        ("3", "4", "7", True), ("12", "10", "120", True), ("1,200", "4", "300", False),
        ("2.5", "2", "5", True),
    ]  # fmt: skip


def test_wrong_results_are_wrong():
    for text in ("3 + 4 = 7", "12 × 10 = 120", "9 + 0 = 9", "5 + 5 = 10", "50 + 49 = 99", "11 + 11 = 22"):
        step = next(right_steps(text))
        for kind, wrong in wrong_results(step).items():
            assert float(wrong) != float(step.result), (text, kind)
            if kind in ("off_by_one", "digit_swap"):
                assert len(wrong) == len(step.result)


def _record(words, problem="p00", sample=0, prompt=(1, 2)):
    text = "".join(piece for piece in words if piece != "<eos>")
    return make_record(problem, sample, list(prompt), [ID[piece] for piece in words], text)


def _rewriter():
    return Rewriter(tokenizer(), TokenMap(tokenizer()), Detector(DetectionConfig()))


STEP = [" 4", " +", " 3", " =", " 7", "."]


def test_pairs_differ_only_where_they_should():
    record = _record(
        [WORDS[0], *STEP, " So", WORDS[1], "."], prompt=(1, ID[WORDS[3]], ID[" Tom"], ID[WORDS[2]])
    )
    pairs, missing = _rewriter().pairs(record)
    by = {pair.kind: pair for pair in pairs}
    assert set(by) == {"off_by_one", "copied_operand", "operands_swapped", "name_changed"}
    assert missing == {"digit_swap": 1, "times_ten": 1}
    for pair in pairs:
        assert len(pair.clean) == len(pair.corrupted) and pair.clean[pair.decision] == STOP
        assert pair.decision == pair.result_end + 1
        changed = {(PIECES[a], PIECES[b]) for a, b in zip(pair.clean, pair.corrupted, strict=True) if a != b}
        assert (
            changed
            == {
                "off_by_one": {(" 7", " 8")},
                "copied_operand": {(" 7", " 4")},
                "operands_swapped": {(" 4", " 3"), (" 3", " 4")},
                "name_changed": {(" Tom", " Anna")},
            }[pair.kind]
        )


def test_a_later_step_serves_where_no_sentence_follows_the_first():
    far = [WORDS[k % len(WORDS)] for k in range(30)]
    record = _record([*STEP[:-1], *far, *STEP, " So", WORDS[1], "."], prompt=(1, 2))
    pairs, _ = _rewriter().pairs(record)
    assert pairs and all(pair.first > 2 + len(far) for pair in pairs)
    assert _rewriter().pairs(_record(STEP[:-1])) == ([], {})


def test_a_correction_behind_an_onset_is_no_fresh_step():
    rewriter = _rewriter()
    wrong = [" 4", " +", " 3", " =", " 8", "."]
    assert rewriter.pairs(_record([*wrong, " Wait", *STEP, " So", WORDS[1], "."])) == ([], {})
    assert rewriter.pairs(_record([*STEP, " Wait", *STEP, " So", WORDS[1], "."]))[0]


def test_position_groups_cover_the_tail_once():
    pair = Pair(
        "p", 0, "off_by_one", "", "", tuple(range(20)), tuple(range(20)), first=8, result_end=12, decision=17
    )
    covered = [back for group in GROUPS for back in backs(pair, group)]
    assert sorted(covered) == list(range(17 - 8 + 1))
    assert backs(pair, "changed") == (5, 6, 7, 8, 9)
    tight = Pair("p", 0, "off_by_one", "", "", (1,) * 9, (1,) * 9, first=8, result_end=8, decision=8)
    assert [backs(tight, group) for group in GROUPS] == [(), (), (0,)]


def _planted_rows(count=8):
    rng = random.Random(0)
    rows = []
    for problem in range(count):
        for sample in range(2):
            left = rng.randint(4, 6)
            step = [f" {left}", " +", f" {8 - left}", " =", " 8", "."]
            words = [rng.choice(WORDS) for _ in range(rng.randint(2, 5))]
            prompt = (1, *(ID[rng.choice(WORDS)] for _ in range(3)), ID[" Tom"], ID[rng.choice(WORDS)])
            rows.append(_record([*words, *step, " So", *words, "."], f"p{problem:02d}", sample, prompt))
    # The detector needs an events table, in which every row counts as right.
    return rows


def test_the_planted_detector_and_its_carriers_are_found(tmp_path):
    """A model that doubts every 9: off-by-one results raise the onset, harmless rewrites do not."""
    loaded = planted(Plant(marker=" 9", writers=(4,), finder=(1, 2)))
    ctx = write_run(tmp_path, loaded, [*_planted_rows(), _record([*WORDS[:4], "."], "p99")])
    table = pd.read_csv(EVENTS.path(ctx.paths))
    table["is_correct"] = True
    table.to_csv(EVENTS.path(ctx.paths), index=False)
    execute(ErrorInjection(VARIANT), ctx)
    notes = ctx.meta.stages[ErrorInjection(VARIANT).key].notes
    assert (notes["rows"], notes["rows_without_a_step"]) == (17, 1)
    summary = pd.read_csv(ctx.paths.table("error_injection_summary.csv")).set_index("kind")
    assert summary.loc["off_by_one", "change_low"] > 2 and summary.loc["off_by_one", "p_holm"] < 0.05
    assert abs(summary.loc["any harmless", "change"]) < 0.3
    assert summary.loc["any harmless", ["above_harmless", "p"]].isna().all(), "nothing to compare with"
    assert abs(summary.loc["copied_operand", "change"]) < 0.3, "a copied operand is no 9"
    patches = pd.read_csv(ctx.paths.table("error_patching.csv")).set_index(
        ["direction", "positions", "component", "layer"]
    )["share"]
    for direction in ("noising", "denoising"):
        here = patches[direction, "deciding"]
        assert here["attn", 1] > 0.8 and here["mlp", 4] > 0.8
        others = here.drop([("attn", 1), ("mlp", 4)])
        assert others.abs().max() < 0.2
        assert patches[direction, "between"].abs().max() < 0.2
    assert ctx.paths.figure("error_injection").stat().st_size > 10_000
    assert ctx.paths.figure("error_patching").stat().st_size > 10_000


def test_patching_equals_hooks_of_the_tests_own():
    """Noising one component at one group, against a forward with a hand-made hook."""
    loaded = random_model()
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(3, len(PIECES), (14,), generator=generator).tolist()
    corrupted = [*clean[:8], *torch.randint(3, len(PIECES), (1,), generator=generator).tolist(), *clean[9:]]
    pair = Pair(
        "p", 0, "off_by_one", "", "", tuple(clean), tuple(corrupted), first=8, result_end=8, decision=13
    )
    found = dict(patch_pairs(loaded, [pair], PHRASES, budget=100))[0]
    sites = list(components(loaded))
    groups = {"changed": slice(8, 9), "between": slice(9, 13), "deciding": slice(13, 14)}

    goes_on = [
        loaded.model(input_ids=torch.tensor([[*ids, BUT_WAIT[0]]]))
        .logits[0, -1]
        .detach()
        .double()
        .softmax(-1)
        for ids in (clean, corrupted)
    ]
    chance = float(sum(share[BUT_WAIT[1]] for share in goes_on)) / 2

    def odds(logits):
        share = logits.double().softmax(-1)
        mass = share[FAMILY].sum() + chance * share[BUT_WAIT[0]]
        return float(torch.log(mass / (1 - mass)))

    for number, site in enumerate(sites):
        module = module_at(loaded, site)
        kept = {}
        for place, group in enumerate(GROUPS):
            with torch.no_grad():
                handle = module.register_forward_hook(
                    lambda _, __, out, kept=kept: kept.update(out=out[0] if isinstance(out, tuple) else out)
                )
                loaded.model(input_ids=torch.tensor([corrupted]))
                handle.remove()

                def put(_, __, out, group=group, kept=kept):
                    hidden = (out[0] if isinstance(out, tuple) else out).clone()
                    hidden[:, groups[group]] = kept["out"][:, groups[group]]
                    return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

                handle = module.register_forward_hook(put)
                logits = loaded.model(input_ids=torch.tensor([clean])).logits[0, -1]
                handle.remove()
            assert found["noising"][number * 3 + place] == pytest.approx(odds(logits), abs=1e-3), (
                site,
                group,
            )


def test_patching_everything_moves_the_whole_gap():
    """Shares by hand: the whole gap, none of it, half of it."""
    values = [{"clean": 0.0, "corrupted": 2.0, "noising": [2.0, 0.0, 1.0], "denoising": [0.0, 2.0, 1.0]}] * 3
    pairs = [Pair(f"p{k}", 0, "off_by_one", "", "", (1,), (2,), 0, 0, 0) for k in range(3)]
    table = patching_table(pairs, values, [Site("mlp", 0)])
    assert table["share"].tolist() == pytest.approx([1.0, 0.0, 0.5] * 2)
    assert set(table["n_pairs"]) == set(table["n_problems"]) == {3}


@pytest.mark.parametrize(
    ("pairs", "shown"), [(1, "at least 5 needed to draw"), (7, "n = 7 pairs"), (20, "share of the gap")]
)
def test_few_pairs_are_told_in_the_table_and_in_the_figure(pairs, shown):
    values = [
        {"clean": 0.0, "corrupted": 2.0, "noising": [2.0, 0.0, 1.0], "denoising": [0.0, 2.0, 1.0]}
    ] * pairs
    chosen = [Pair(f"p{k}", 0, "off_by_one", "", "", (1,), (2,), 0, 0, 0) for k in range(pairs)]
    table = patching_table(chosen, values, [Site("mlp", 0)])
    assert table["warning"].eq("").all() == (pairs >= 20)
    try:
        said = str(plot_patching(table).caption)
    except NothingToShow as why:
        said = str(why)
    assert shown in said
    assert ("Few pairs" in said) == (pairs == 7)


@pytest.fixture(scope="module")
def reasoner():
    return load_model(ModelConfig(hf_id="bundled", device="cpu"))


def test_the_bundled_reasoner_doubts_wrong_results(reasoner):
    """Known truth: it was trained to say a trigger after most wrong statements and few right ones."""
    token_map, rng = TokenMap(reasoner.tokenizer), random.Random(0)
    rewriter = Rewriter(reasoner.tokenizer, token_map, Detector(DetectionConfig()))
    pairs = []
    for problem in tiny_problems("test", 40, seed=0):
        text = write_trace(problem, MAIN, rng).text
        prompt = reasoner.tokenizer.apply_chat_template(
            [{"role": "user", "content": problem.question}], add_generation_prompt=True, tokenize=False
        )
        ids = reasoner.tokenizer.encode(prompt + "<think>\n", add_special_tokens=False)
        body = reasoner.tokenizer.encode(text, add_special_tokens=False)
        record = make_record(problem.id, 0, ids, body, token_map(body).text)
        pairs += rewriter.pairs(record)[0]
    phrases = Triggers.of(reasoner.tokenizer, ("wait", "but wait", "hold on", "actually")).phrases
    found = dict(read_pairs(reasoner, pairs, phrases, budget=8192))
    changes = {True: [], False: []}
    for index, pair in enumerate(pairs):
        after = pair.decision - pair.result_end
        changes[pair.is_wrong].append(found[index]["corrupted"][after] - found[index]["clean"][after])
    assert len(changes[True]) > 20 and len(changes[False]) > 20
    assert np.mean(changes[True]) > 1.0
    assert np.mean(changes[True]) > np.mean(changes[False]) + 1.0
