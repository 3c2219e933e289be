"""On models whose trigger writer is known, Phase 2 finds and confirms it, and claims nothing without one."""

import json
import shutil

import pandas as pd
import pytest

from backtracking.artifacts.phase1 import EVENTS, GENERATIONS, ONSETS
from backtracking.config.load import LoadedConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.interventions import Arm, Condition, Intervention
from backtracking.measurements.events import EventReader, write_events
from backtracking.run import io
from backtracking.run.paths import RunPaths
from backtracking.run.progress import Quiet
from backtracking.run.records import GenerationRecord, Problem
from backtracking.stages.base import RunContext
from backtracking.stages.execute import execute, status_of
from backtracking.stages.init_run import new_meta
from backtracking.stages.phase2.confirm import Phase2Confirm
from backtracking.stages.phase2.continuation_ablation import Phase2ContinuationAblation
from backtracking.stages.phase2.from_phase1 import vectors
from backtracking.stages.phase2.job import problem_halves
from backtracking.stages.phase2.make_report import MakeReportPhase2
from backtracking.stages.phase2.scale_sweep import Phase2ScaleSweep, best_subset
from backtracking.stages.phase2.search import Phase2Search
from backtracking.stages.phase2.specificity import Phase2Specificity
from backtracking.stages.phase2.subset_sweep import Phase2SubsetSweep
from backtracking.text.tokenization import TokenMap
from tests.phase2.planted import RIGHT, Plant, planted
from tests.phase2.world import VARIANT, WORDS
from tests.report.tables import event_rows

MARGIN = 0.2  # thirty problems without a loss leave 11.6 points possible, twenty 16.8
PROBLEMS = 60


def _context(folder, plant, **phase2):
    """A Phase 2 run over a planted model, with a Phase 1 run beside it."""
    model = planted(plant)
    sweep = {
        "variant": VARIANT,
        "subsets": {
            "writer": [["mlp", 2]],
            "bystander": [["mlp", 3]],
            "carrier": [["mlp", 0]],
            "everything": [["mlp", 0], ["mlp", 1], ["mlp", 2], ["mlp", 3]],
            "no_tokens": {"suppress_triggers": True},
            "control": {"random_like": "writer", "draws": 3},
        },
    }
    config = ExperimentConfig.model_validate(
        {
            "run": {"output_dir": str(folder / "runs")},
            "model": {"hf_id": "planted"},
            "prompting": {
                "use_chat_template": False,
                "formatting_variants": [
                    {"name": VARIANT, "think_open": "<think>\n", "think_close": "</think>"}
                ],
            },
            "detection": {"triggers_relaxed": ["now that"]},
            "generation": {"max_new_tokens": 64, "temperature": 1.0, "top_p": 1.0, "batch_size": 64},
            "phase2": {
                "max_examples": PROBLEMS,
                "num_samples_per_prompt": 4,
                "accuracy_margin": MARGIN,
                "subset_sweep": sweep,
                "scale_sweep": {"variant": VARIANT, "subset_name": "best", "scales": [0.0, 0.5, 0.8]},
                "continuation_ablation": {
                    "variant": VARIANT,
                    "subset_name": "writer",
                    "max_events": 20,
                    "num_continuations": 8,
                },
                "confirm": {"random_draws": 3},
                "search": {
                    "budget_rows": 840,
                    "max_examples": 20,
                    "num_samples_per_prompt": 2,
                    "scales": [0.0, 0.5],
                },
            }
            | phase2,
        }
    )
    loaded = LoadedConfig(config=config, source="test")
    paths, phase1 = RunPaths(folder / "runs", "two"), RunPaths(folder / "runs", "one")
    problems = [
        Problem(id=f"p{k}", question=f" Q {k % 10} + {k // 10}", answer="7", answer_value="7")
        for k in range(PROBLEMS)
    ]
    io.write_jsonl(paths.dataset, problems)
    return RunContext(
        loaded=loaded, paths=paths, meta=new_meta("two", loaded), phase1=phase1, load=lambda _: model
    )


def _make_phase1(ctx):
    """Phase 1's baseline is the sweep's own: same prompts, same noise, same model."""
    generations = GENERATIONS.path(ctx.phase1_paths, variant=VARIANT, condition="baseline")
    generations.parent.mkdir(parents=True)
    shutil.copy(GENERATIONS.path(ctx.paths, variant=VARIANT, condition="phase2_baseline"), generations)
    reader = EventReader(
        ctx.config.detection,
        ctx.config.prompting,
        TokenMap(ctx.model().tokenizer),
        {f"p{k}": "7" for k in range(PROBLEMS)},
    )
    records = io.read_jsonl(generations, GenerationRecord, made_by="test")
    write_events(records, reader, EVENTS.path(ctx.phase1_paths), ONSETS.path(ctx.phase1_paths))


@pytest.fixture(scope="module")
def localised(tmp_path_factory):
    ctx = _context(tmp_path_factory.mktemp("localised"), Plant())
    execute(Phase2SubsetSweep(), ctx)
    _make_phase1(ctx)
    for stage in (
        Phase2ScaleSweep,
        Phase2ContinuationAblation,
        Phase2Specificity,
        Phase2Search,
        Phase2Confirm,
    ):
        execute(stage(), ctx)
    execute(MakeReportPhase2(), ctx)
    return ctx


def _table(ctx, name, index="arm"):
    return pd.read_csv(ctx.paths.table(name)).set_index(index)


def test_the_writer_is_the_only_block_that_lowers_backtracking_without_loss(localised):
    table = _table(localised, "subset_sweep_results.csv", "subset_name")
    assert table.loc["baseline", "accuracy"] > 0.8
    assert table.loc["baseline", "backtracking_rate"] > 0.3
    verdicts = table["verdict"].fillna("").to_dict()
    assert verdicts == {
        "baseline": "",
        "writer": "non-destructive",
        "bystander": "no effect",
        "carrier": "destructive",
        "everything": "destructive",
        "no_tokens": "non-destructive",
        "control": verdicts["control"],
    }
    assert verdicts["control"] != "non-destructive"
    assert table.loc["writer", "backtracking_rate"] < 0.02
    assert table.loc["bystander", "backtracking_diff"] == 0.0


def test_hooks_did_what_the_schedule_says(localised):
    debug = json.loads(localised.paths.table("hook_debug.json").read_text())
    assert debug["matches_schedule"] is True
    assert set(debug["seq_len_distribution"]) >= {"1"}
    assert debug["ablation_calls"] > 0


def test_scale_best_takes_the_writer_and_fades_in(localised):
    table = _table(localised, "scale_sweep_results.csv")
    rates = [table.loc[f"writer_x{scale}", "backtracking_rate"] for scale in ("0", "0.5", "0.8")]
    assert rates == sorted(rates)
    assert rates[0] < 0.02 < rates[2] < table.loc["baseline", "backtracking_rate"]


def test_the_onset_step_loses_the_onset_and_nothing_else(localised):
    summary = _table(localised, "continuation_ablation_summary.csv", ["position_kind", "scale"])
    assert summary.loc[("onset", 1.0), "onset_prob"] > 0.25
    assert summary.loc[("onset", 0.0), "onset_prob"] < 0.01
    assert summary.loc[("onset", 0.0), "family_change_high"] < -0.2
    assert summary.loc[("onset", 0.0), "other_families_prob"] < 0.01


def test_continuations_turn_back_later_once_the_choice_is_taken_away(localised):
    """The plant decides anew at every full stop, so a prevented onset may still come at the next."""
    summary = _table(localised, "continuation_samples_summary.csv", "scale")
    assert summary.loc[1.0, "onset_at_once"] == pytest.approx(0.37, abs=0.15)
    assert summary.loc[0.0, "onset_at_once"] < 0.02
    assert summary.loc[0.0, "onset_later"] > 0.1
    samples = pd.read_csv(localised.paths.table("continuation_samples.csv"))
    pairs = samples.pivot(index=["example_id", "sample_id", "continuation"], columns="arm")
    same = pairs["first_token"]["baseline"] == pairs["first_token"]["writer_x0"]
    assert same.any()
    later = pairs["onset_later"]
    assert (later["baseline"] == later["writer_x0"])[same].all(), "equal choices share their noise"


def test_first_divergences_of_the_writer_hit_the_trigger_only(localised):
    leaks = _table(localised, "specificity.csv")
    assert leaks.loc["writer_x0", "trigger_hit_rate"] == 1.0
    assert leaks.loc["writer_x0", "at_onset"] == 1.0
    assert leaks.loc["writer_x0", "specificity_index_low"] > 1.0
    assert leaks.loc["carrier_x0", "trigger_hit_rate"] < 0.5
    assert leaks.loc["bystander_x0", "diverged"] == 0
    assert leaks.loc["bystander_x0", "kl_per_token"] == pytest.approx(0.0, abs=1e-6)
    replaced = pd.read_csv(localised.paths.table("replaced_tokens.csv"))
    first = replaced[replaced["arm"] == "writer_x0"].iloc[0]
    assert first["baseline_text"] == " Wait"
    assert first["new_text"] in (" Now", " Final")


def test_search_finds_the_writer(localised):
    trials = pd.read_csv(localised.paths.table("search_trials.csv"))
    assert len(trials) == 840 // 40 - 1
    silent = trials[trials["backtracking_rate"] < 0.02]
    assert not silent.empty
    best = silent.sort_values("accuracy", ascending=False).iloc[0]
    assert "mlp2" in best["subset_name"]
    assert "mlp0" not in best["subset_name"]
    with_carrier = trials[trials["subset_name"].str.contains("mlp0") & (trials["scale"] == 0)]
    assert (with_carrier["accuracy"] < 0.2).all()


def test_confirmation_uses_the_other_half_and_passes(localised):
    halves = json.loads(localised.paths.table("problem_split.json").read_text())
    assert sorted(halves["search"] + halves["confirm"]) == sorted(f"p{k}" for k in range(PROBLEMS))
    events = pd.read_csv(localised.paths.table("confirm_events.csv"))
    assert set(events["example_id"]) == set(halves["confirm"])
    searched = pd.read_csv(localised.paths.table("tradeoff_search.csv"))
    assert (searched["problems"] <= len(halves["search"])).all()
    table = _table(localised, "confirm_results.csv", "role")
    assert table.loc["winner", "backtracking_rate"] < 0.05
    control = table.loc["random control"]
    assert control["backtracking_rate"] > table.loc["winner", "backtracking_rate"] + 0.2


def test_means_are_taken_over_the_half_that_is_searched(localised, monkeypatch):
    read = []

    def note(*_, **__):
        read.extend(_[3])
        return {}

    monkeypatch.setattr("backtracking.mechanism.vectors.resolve_vectors", note)
    member = Intervention(component="mlp", layer=2, mode="mean", vector="mean_mlp_2")
    arm = Arm("mean", "mean", None, (Condition(name="mean", interventions=(member,)),))
    vectors(localised, VARIANT, [arm])
    searched = set(problem_halves(localised)["search"])
    assert read and {reading.example_id for reading in read} <= searched


def test_confirming_leaves_the_sweeps_rows_alone(localised):
    rows = list(
        io.read_jsonl(
            GENERATIONS.path(localised.paths, variant=VARIANT, condition="phase2_baseline"),
            GenerationRecord,
            made_by="test",
        )
    )
    assert len(rows) == PROBLEMS * 4
    assert status_of(Phase2SubsetSweep(), localised).state == "done"


def test_the_report_says_so(localised):
    text = (localised.paths.root / "reports/backtracking_phase2_report.md").read_text()
    (line,) = (row for row in text.splitlines() if row.startswith("| Backtracking can be turned down"))
    assert "**supported**" in line and "(confirmed on held-out problems)" in line, line
    for figure in (
        "phase2_subset_sweep",
        "phase2_scale_tradeoff",
        "phase2_continuation_effect",
        "phase2_choice",
    ):
        assert f"(../figures/{figure}.png)" in text
        assert localised.paths.figure(figure).exists()
    assert WORDS[RIGHT] == " 7"


class Said(Quiet):
    """A reporter that keeps what it was told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def _change(ctx, section, **values):
    """The run's config with some values of a section changed."""
    changed = getattr(ctx.config, section).model_copy(update=values)
    ctx.loaded = LoadedConfig(config=ctx.config.model_copy(update={section: changed}), source="test")


@pytest.fixture
def small(tmp_path):
    """Two subsets and the scales of one, over a few problems."""
    subsets = {"writer": [["mlp", 2]], "bystander": [["mlp", 3]]}
    ctx = _context(
        tmp_path,
        Plant(),
        max_examples=8,
        num_samples_per_prompt=2,
        subset_sweep={"variant": VARIANT, "subsets": subsets},
        scale_sweep={"variant": VARIANT, "subset_name": "writer", "scales": [0.0, 0.5]},
    )
    ctx.reporter = Said()
    execute(Phase2SubsetSweep(), ctx)
    return ctx


def test_specificity_follows_the_scale_sweep_and_the_rows_asked_for(small):
    execute(Phase2Specificity(), small)
    assert status_of(Phase2Specificity(), small).state == "done"
    execute(Phase2ScaleSweep(), small)
    assert status_of(Phase2SubsetSweep(), small).state == "done"
    debug = json.loads(small.paths.table("hook_debug.json").read_text())
    assert set(debug["by_condition"]) == {"writer_x0", "bystander_x0", "writer_x0.5"}
    assert status_of(Phase2Specificity(), small).state == "stale"
    _change(small, "phase2", max_examples=5)
    execute(Phase2SubsetSweep(), small)
    execute(Phase2Specificity(), small)
    leaks = _table(small, "specificity.csv")
    assert "writer_x0.5" in leaks.index
    assert set(leaks["total"].dropna()) == {10}


def test_arms_made_with_other_settings_are_left_out_or_refused(small):
    execute(Phase2ScaleSweep(), small)
    _change(small, "generation", temperature=0.8)
    for stage in (Phase2Specificity, Phase2Confirm):
        with pytest.raises(UserError, match="other settings"):
            execute(stage(), small)
    execute(Phase2SubsetSweep(), small)
    small.reporter.lines.clear()
    execute(Phase2Specificity(), small)
    assert set(_table(small, "specificity.csv").index) == {"baseline", "writer_x0", "bystander_x0"}
    assert any("writer_x0.5 is left out" in line for line in small.reporter.lines)
    execute(Phase2Confirm(), small)
    assert "writer_x0.5" not in _table(small, "tradeoff_search.csv").index


def test_the_subset_to_scale_is_picked_on_the_search_half(small):
    _change(small, "phase2", max_examples=PROBLEMS)
    half = set(problem_halves(small)["search"])
    parts = []
    for arm, searched, others in (("baseline", 1, 1), ("writer", 0.25, 0.25), ("bystander", 0.75, 0)):
        for k in range(PROBLEMS):
            rate = searched if f"p{k}" in half else others
            part = event_rows(arm, 0.5, 1, problems=1).assign(
                example_id=f"p{k}", is_correct=True, arm=arm, subset_name=arm, num_components=1,
                kind="baseline" if arm == "baseline" else "intervention",
                scale=None if arm == "baseline" else 0.0,
                has_backtracking_strict=[s < 4 * rate for s in range(4)],
            )  # fmt: skip
            parts.append(part)
    events = pd.concat(parts)
    io.write_csv(small.paths.table("subset_sweep_events.csv"), events)
    assert best_subset(small) == "writer"
    events.loc[events["arm"] != "baseline", "is_correct"] = False
    io.write_csv(small.paths.table("subset_sweep_events.csv"), events)
    assert best_subset(small) == "writer"
    assert "(destructive)" in small.reporter.lines[-1]


def test_on_a_diffuse_plant_no_arm_is_claimed(tmp_path):
    everywhere = tuple(range(4))
    ctx = _context(tmp_path, Plant(chain=everywhere, trigger=everywhere))
    subsets = {f"mlp{k}": [["mlp", k]] for k in everywhere} | {"late": [["mlp", 2], ["mlp", 3]]}
    sweep = ctx.config.phase2.subset_sweep.model_validate({"variant": VARIANT, "subsets": subsets})
    phase2 = ctx.config.phase2.model_copy(update={"subset_sweep": sweep})
    ctx.loaded = LoadedConfig(config=ctx.config.model_copy(update={"phase2": phase2}), source="test")
    execute(Phase2SubsetSweep(), ctx)
    table = _table(ctx, "subset_sweep_results.csv")
    assert "non-destructive" not in set(table["verdict"])
    execute(Phase2Confirm(), ctx)
    assert list(_table(ctx, "confirm_results.csv")["role"]) == ["baseline"]
    execute(MakeReportPhase2(), ctx)
    report = (ctx.paths.root / "reports/backtracking_phase2_report.md").read_text()
    line = next(row for row in report.splitlines() if row.startswith("| Backtracking can be turned down"))
    assert "**supported**" not in line
