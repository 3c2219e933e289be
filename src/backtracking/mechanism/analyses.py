"""Whole analyses, from a study's onsets to the tables: the same for a stage and for rows in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from backtracking.errors import NotTestable
from backtracking.measurements.controls import CONTROL_KINDS, FEWEST_PROBLEMS
from backtracking.measurements.separation import first_separation
from backtracking.mechanism.ablation_scan import (
    Donors,
    Removal,
    RemovalMode,
    ScanResult,
    head_sites,
    importance_table,
    needs_donors,
    read_removals,
    scanned_sites,
)
from backtracking.mechanism.attribution import attribute, direct_table, stack_direct
from backtracking.mechanism.by_onset import lens_by_onset
from backtracking.mechanism.direction import SampledStates, read_states, split_samples, unpack
from backtracking.mechanism.interactions import interaction_table, pair_removals
from backtracking.mechanism.logit_lens import (
    LensReadings,
    Translate,
    items_of,
    lens_table,
    read_lens,
    untranslated,
    window_table,
)
from backtracking.mechanism.passes import KINDS, Site
from backtracking.mechanism.selection import (
    RULES,
    SelectionRule,
    add_scores,
    localisation,
    selected,
    strongest_layers,
)
from backtracking.mechanism.study import Bench, Item, Study
from backtracking.mechanism.tuned_lens import Translators, fit_translators, sample_states
from backtracking.run.records import GenerationRecord
from backtracking.run.seed import derive_seed

FITTING_ROWS = 120
POSITIONS_BACK = 3


@dataclass(frozen=True)
class LensTables:
    """The lens by layer, in the window around the onset, onset by onset; and how states were translated."""

    table: pd.DataFrame
    window: pd.DataFrame
    translators: Translators | None
    by_onset: pd.DataFrame

    def first_separations(self) -> dict[str, int | None]:
        """Per kind of control the first layer at which onsets clearly lie above."""
        return {
            kind: first_separation(self.table[self.table["control_matching"] == kind])
            for kind in CONTROL_KINDS
        }


def through_the_lens(bench: Bench, study: Study, rows: Iterable[GenerationRecord]) -> LensTables:
    """Read every onset and its controls at each layer; a tuned lens is fitted on `rows`."""
    keys, items = items_of(study)
    translate: Translate = untranslated
    translators, fitted_on = None, []
    if bench.config.lens == "tuned":
        fitted_on = _fitting_rows(bench, items, rows)
        translate = translators = _translators(bench, study.variant, fitted_on)
    values = bench.values(
        "",
        items,
        partial(read_lens, budget=bench.config.batch_tokens, translate=translate),
        variant=study.variant,
        fitted_on=fitted_on,
    )
    readings = LensReadings(study.events, dict(zip(keys, values, strict=True)))
    by_onset = lens_by_onset(readings, study)
    return LensTables(lens_table(readings), window_table(readings), translators, by_onset)


def _fitting_rows(bench: Bench, items: Sequence[Item], rows: Iterable[GenerationRecord]) -> list[list[int]]:
    """Rows that are not studied, or studied ones where there are no others."""
    studied = {(at.example_id, at.sample_id) for at, _ in items}
    kept: dict[bool, list[list[int]]] = {True: [], False: []}
    for record in rows:
        chosen = kept[(record.example_id, record.sample_id) in studied]
        if len(chosen) < FITTING_ROWS:
            chosen.append([*record.prompt_ids, *record.completion_ids])
    if not kept[False]:
        bench.reporter.say(
            "  note: every completion is studied, so the translators are fitted on studied ones"
        )
    return kept[False] or kept[True]


def _translators(bench: Bench, variant: str, rows: list[list[int]]) -> Translators:
    loaded, seed = bench.loaded, derive_seed(bench.seed, "tuned-lens", variant)
    states = sample_states(loaded, rows, bench.config.batch_tokens, seed)
    with bench.reporter.bar("logit-lens translators", loaded.n_layers - 1, "layers") as bar:
        return fit_translators(loaded, states, seed, bar)


def scan(bench: Bench, study: Study, part: str, removals: Sequence[Removal]) -> ScanResult:
    """Remove components at all onsets and at their matched controls."""
    loaded, config, controls = bench.loaded, bench.config, study.matched
    donors = None
    if any(needs_donors(removal.mode) for removal in removals):
        donors = Donors(loaded, list(controls.values()), budget=config.batch_tokens, seed=bench.seed)
    items = study.items + [study.item(number, control) for number, control in controls.items()]
    # Donor values depend on which rows are studied; the other settings are the config's.
    rows = [[item.seen for item, _ in items] if donors else None]
    values = bench.values(
        part,
        items,
        partial(read_removals, removals=removals, config=config, donors=donors),
        removals=[str(removal) for removal in removals],
        rows=rows,
    )
    at_control = dict(zip(controls, values[len(study.events) :], strict=True))
    return ScanResult.of(removals, study.events, values[: len(study.events)], at_control)


@dataclass(frozen=True)
class BlockScan:
    """Every block removed alone: a scored table per mode of removal, and the rule that selects."""

    study: Study
    result: ScanResult
    by_mode: Mapping[RemovalMode, pd.DataFrame]
    rule: SelectionRule
    count: int
    """How many components of each kind are selected."""

    @property
    def mode(self) -> RemovalMode:
        """The mode that decides: the first."""
        return next(iter(self.by_mode))

    @property
    def table(self) -> pd.DataFrame:
        """Blocks by what their removal takes from the onset, in the deciding mode."""
        return self.by_mode[self.mode]

    @property
    def selected(self) -> dict[str, list[int]]:
        """The layers of each kind that stand out, strongest first."""
        return selected(self.table, self.rule, self.count)

    @property
    def strongest(self) -> dict[str, list[int]]:
        """The strongest layers of each kind, whether or not they stand out."""
        return strongest_layers(self.table, self.rule, self.count)

    def summary(self) -> dict[str, Any]:
        """What was selected under either rule, and whether the onset is localised."""
        return {
            "mode": self.mode,
            "rule": self.rule,
            **self.study.notes(),
            "selected": {name: selected(self.table, name, self.count) for name in RULES},
            "localisation": {
                mode: {name: localisation(rows, name) for name in RULES}
                for mode, rows in self.by_mode.items()
            },
        }


def scan_blocks(bench: Bench, study: Study) -> BlockScan:
    """Remove every block that the config names, in every mode that it names, and score what that takes."""
    modes = _modes(bench, study)
    sites = scanned_sites(bench.loaded, bench.config)
    result = scan(bench, study, "blocks", [Removal(site, mode) for mode in modes for site in sites])
    tables = {mode: scored(bench, result.of_mode(mode)) for mode in modes}
    rule = _rule(bench, tables[modes[0]])
    return BlockScan(study, result, tables, rule, bench.config.topk_layers_for_generation)


def _modes(bench: Bench, study: Study) -> tuple[RemovalMode, ...]:
    """The ways of removal asked for, without those that lack the control positions they draw on."""
    asked = bench.config.ablation_modes
    if study.matched:
        return asked
    possible = tuple(mode for mode in asked if not needs_donors(mode))
    if dropped := sorted(set(asked) - set(possible)):
        bench.reporter.say(f"  note: no onset has a control, so mode {' and '.join(dropped)} is left out")
    return possible or ("zero",)


def _rule(bench: Bench, table: pd.DataFrame) -> SelectionRule:
    """Selectivity compares with controls; without any, the effect alone must do, and that is said."""
    if bench.config.selection == "selectivity" and not table["n_controls"].any():
        bench.reporter.say("  note: no onset has a control, so components are ranked by effect alone")
        return "effect"
    return bench.config.selection


def scored(bench: Bench, result: ScanResult) -> pd.DataFrame:
    """The importance table with both rules' scores."""
    return add_scores(importance_table(result), result, bench.config)


def removed_whole(bench: Bench, study: Study, blocks: ScanResult) -> ScanResult:
    """What every block's removal takes in any mode: a direct effect is all that it writes."""
    if (whole := blocks.of_mode("zero")).removals:
        return whole
    removals = [Removal(site) for site in scanned_sites(bench.loaded, bench.config)]
    return scan(bench, study, "whole", removals)


def scan_heads(bench: Bench, study: Study) -> ScanResult:
    """Remove every attention head alone."""
    sites = head_sites(bench.loaded, bench.config)
    return scan(bench, study, "heads", [Removal(site) for site in sites])


def scan_positions(bench: Bench, study: Study) -> pd.DataFrame:
    """Remove every block at the deciding position, and at those before it."""
    removals = [
        Removal(site, "zero", back)
        for back in range(POSITIONS_BACK, -1, -1)
        for site in scanned_sites(bench.loaded, bench.config)
    ]
    return importance_table(scan(bench, study, "positions", removals))


def scan_pairs(
    bench: Bench, study: Study, chosen: Mapping[str, Sequence[int]], mode: RemovalMode
) -> pd.DataFrame:
    """Remove the chosen blocks two at a time, and compare with the sum of either alone."""
    sites = sorted(Site(kind, layer) for kind in KINDS for layer in chosen[kind])
    return interaction_table(scan(bench, study, "pairs", pair_removals(sites, mode)))


def direct_effects(bench: Bench, study: Study, total: ScanResult) -> pd.DataFrame:
    """What each component writes towards the onset by itself, beside what its removal takes in all."""
    values = bench.values("direct", study.items, partial(attribute, budget=bench.config.batch_tokens))
    sites, direct = stack_direct(values, bench.loaded)
    return direct_table(total.problems, sites, direct, total)


def find_directions(bench: Bench, study: Study) -> SampledStates:
    """The backtracking direction of every layer, fitted on half of the problems and tested on the other."""
    split = split_samples(study.events, study.targets, bench.seed)
    if split.fewest_problems < FEWEST_PROBLEMS:
        raise NotTestable.too_few_problems(
            "with an onset and its matched control in the smaller of two halves",
            split.fewest_problems,
            FEWEST_PROBLEMS,
            "one half fits the direction and the other tests it, and an interval is taken over problems",
        )
    if split.dropped:
        bench.reporter.say(
            f"  note: {split.dropped} {'onset' if split.dropped == 1 else 'onsets'} left out: problem and "
            "control fall in different "
            "halves, of which one fits and the other tests"
        )
    values = bench.values(
        "",
        [(sample.at, sample.target) for sample in split.samples],
        partial(read_states, budget=bench.config.batch_tokens),
    )
    return SampledStates(split, unpack(values), bench.seed)
