"""Which onsets are analysed, and which positions without an onset each is compared with."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from backtracking.config.onsets import MEMBERS, StudiedOnsets
from backtracking.errors import NotTestable, UserError
from backtracking.measurements.matching import match_rows
from backtracking.measurements.places import Candidates, Layout, Place
from backtracking.measurements.tallies import MADE_BY
from backtracking.run import io
from backtracking.run.cells import original
from backtracking.run.inputs import EventRows, note, verify
from backtracking.run.records import BASELINE_NAME, GenerationRecord, RowId
from backtracking.run.rowindex import find_rows
from backtracking.run.seed import derive_seed
from backtracking.text.tokenization import TokenMap

ControlKind = Literal["matched_row", "same_row_earlier"]
OnsetKey = tuple[str, int, int]
"""An onset by its problem, sample and deciding position."""
FEWEST_PROBLEMS = 2
"""An interval over problems takes at least so many."""
CONTROL_KINDS: tuple[ControlKind, ...] = ("matched_row", "same_row_earlier")

_ONSET_COLUMNS = {
    "onset_phrase": "phrase",
    "onset_token_in_completion": "token_start",
    "onset_token_id": "token_id",
    "onset_token_text": "token_text",
    "pred_pos_in_full": "pred_pos_in_full",
}
"""The events table's names for what the table of onsets says."""


@dataclass(frozen=True)
class Reading:
    """A position in a generated row at which the model is read: it has seen `ids[: pos + 1]`."""

    example_id: str
    sample_id: int
    ids: tuple[int, ...]
    prompt_tokens: int
    pos: int

    @property
    def seen(self) -> tuple[int, ...]:
        """The tokens that the model has read there."""
        return self.ids[: self.pos + 1]

    @property
    def next_id(self) -> int:
        """The token that the row went on with."""
        return self.ids[self.pos + 1]


@dataclass(frozen=True)
class Event:
    """An onset and the positions it is compared with."""

    at: Reading
    phrase: str
    token_text: str
    controls: Mapping[ControlKind, Reading] = field(default_factory=dict)
    matching: Mapping[ControlKind, str] = field(default_factory=dict)
    """How each control was found, or why there is none."""
    place: Place | None = None
    control_places: Mapping[ControlKind, Place] = field(default_factory=dict)

    @property
    def onset_id(self) -> int:
        """The token that the onset begins with."""
        return self.at.next_id

    @property
    def positions(self) -> tuple[Reading, ...]:
        """Its own and those it is compared with."""
        return (self.at, *self.controls.values())


def read_baseline(events_path: Path, variant: str) -> pd.DataFrame:
    """The baseline rows of one variant, in the table's order."""
    table = _read_rows(
        EventRows(events_path, variant, BASELINE_NAME, made_by=MADE_BY),
        dtype={"example_id": str, "onset_phrase": str, "onset_token_text": str, "is_correct": str},
        na_values={"is_correct": [""]},
    )
    generate = f"run: backtracking generate --condition baseline --variant {variant}, then detect-events"
    return baseline_rows(table, variant, str(events_path), generate)


def baseline_rows(events: pd.DataFrame, variant: str, source: str, next_step: str) -> pd.DataFrame:
    """The baseline rows of one variant of an events table, read from a file or made in memory."""
    wanted = (events["variant"] == variant) & (events["condition"] == BASELINE_NAME)
    rows = events[wanted].reset_index(drop=True)
    if rows.empty:
        raise UserError(
            f"there are no baseline completions of {variant!r} in {source}",
            "the mechanism is studied on unchanged generations",
            next_step,
        )
    rows["has_onset"] = rows["has_backtracking_strict"].astype(str).eq("True")
    rows["is_correct"] = rows["is_correct"].astype(str).where(rows["is_correct"].notna())
    return rows


def read_onsets(onsets_path: Path, variant: str) -> pd.DataFrame:
    """The onsets in the baseline rows of one variant."""
    wanted = EventRows(onsets_path, variant, BASELINE_NAME, made_by=MADE_BY)
    return _read_rows(wanted, dtype={"example_id": str})


def _read_rows(wanted: EventRows, **options: Any) -> pd.DataFrame:
    wanted.require()
    note(wanted)
    verify(wanted)
    return original(pd.read_csv(wanted.as_table(), keep_default_na=False, **options))


def with_onsets(rows: pd.DataFrame, onsets: pd.DataFrame, variant: str, kind: StudiedOnsets) -> pd.DataFrame:
    """Baseline rows with the first onset of a kind in the place of the events table's own.

    `first_onset` is the completion token where the first onset of any kind begins, infinity without one; what
    the earlier study did not look for does not count in studies of its kinds.
    """
    table = onsets[(onsets["variant"] == variant) & (onsets["condition"] == BASELINE_NAME)]
    earlier = table["kind"].isin(MEMBERS["relaxed"])
    if kind in ("strict", "relaxed"):
        table = table[earlier]
    rows = rows.assign(first_onset=first_onsets(table, rows))
    return rows if kind == "strict" else rows.assign(**_first_of(table, rows, MEMBERS[kind]))


def _first_of(table: pd.DataFrame, rows: pd.DataFrame, kinds: Sequence[str]) -> dict[str, pd.Series]:
    """The columns of the events table that describe the first onset of some kinds."""
    members = table[table["kind"].isin(kinds)].sort_values("token_start", kind="stable")
    first = members.drop_duplicates(["example_id", "sample_id"]).set_index(["example_id", "sample_id"])
    onsets = first.reindex(pd.MultiIndex.from_frame(rows[["example_id", "sample_id"]])).set_axis(rows.index)
    numbers = ("onset_token_in_completion", "onset_token_id", "pred_pos_in_full")
    columns = {name: onsets[_ONSET_COLUMNS[name]].fillna(-1).astype(int) for name in numbers}
    columns |= {name: onsets[_ONSET_COLUMNS[name]] for name in ("onset_phrase", "onset_token_text")}
    return columns | {"has_onset": onsets["token_start"].notna()}


def first_onsets(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Per row the completion token where its first onset begins; infinity without one."""
    first = table.groupby(["example_id", "sample_id"])["token_start"].min()
    keys = pd.MultiIndex.from_frame(rows[["example_id", "sample_id"]])
    return pd.Series(first.reindex(keys).fillna(np.inf).to_numpy(float), index=rows.index)


def spread_over_problems(problems: Sequence[str], count: int, seed: int) -> list[int]:
    """Indices of `count` rows, drawn so that every problem gives one before any gives two."""
    return sorted(spread_order(problems, seed)[:count])


def spread_order(problems: Sequence[str], seed: int) -> list[int]:
    """All rows' indices in the order in which they are drawn."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(problems))
    turn: dict[str, int] = {}
    order: list[tuple[int, int, int]] = []
    for index in shuffled:
        problem = problems[index]
        order.append((turn.get(problem, 0), len(order), int(index)))
        turn[problem] = turn.get(problem, 0) + 1
    return [index for _, _, index in sorted(order)]


def read_records(path: Path, keys: Collection[RowId]) -> dict[RowId, GenerationRecord]:
    """The generations behind some rows; the rest stays on disk."""
    records = find_rows(path, keys, made_by="backtracking generate")
    if missing := sorted(set(keys) - set(records)):
        raise UserError(
            f"{path} lacks row {missing[0]} of the events table ({len(missing)} missing)",
            "the table was made from other generations",
            "run: backtracking detect-events",
        )
    return records


def reading(record: GenerationRecord, offset: int) -> Reading:
    """Where the model decides on completion token `offset`."""
    return Reading(
        example_id=record.example_id,
        sample_id=record.sample_id,
        ids=(*record.prompt_ids, *record.completion_ids),
        prompt_tokens=record.prompt_tokens,
        pos=record.prompt_tokens + offset - 1,
    )


@dataclass(frozen=True)
class StudyFiles:
    """Where a study reads from."""

    events: Path
    onsets: Path
    generations: Path


@dataclass(frozen=True)
class StudyRows:
    """What a study is drawn from: baseline rows of one variant, and the generations behind some of them."""

    rows: pd.DataFrame
    """As `baseline_rows` gives them, with the onsets of the kind under study."""
    records: Callable[[Collection[RowId]], Mapping[RowId, GenerationRecord]]
    every: Callable[[], Iterable[GenerationRecord]]
    """The generations one by one, so that the places of all can be looked at without keeping them."""
    sought: str = "onsets"
    """What the rows are searched for, in words."""

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        onsets: pd.DataFrame,
        variant: str,
        records: Callable[[Collection[RowId]], Mapping[RowId, GenerationRecord]],
        every: Callable[[], Iterable[GenerationRecord]],
        kind: StudiedOnsets,
    ) -> "StudyRows":
        """A study of rows in memory."""
        return cls(with_onsets(rows, onsets, variant, kind), records, every)

    @classmethod
    def read(cls, files: StudyFiles, variant: str, kind: StudiedOnsets) -> "StudyRows":
        """A study of a run's files."""
        rows, onsets = read_baseline(files.events, variant), read_onsets(files.onsets, variant)
        made_by = "backtracking generate"
        return cls.of(
            rows,
            onsets,
            variant,
            lambda keys: read_records(files.generations, keys),
            lambda: io.read_jsonl(files.generations, GenerationRecord, made_by=made_by),
            kind,
        )

    def keeping(self, onsets: Collection[OnsetKey]) -> "StudyRows":
        """The same rows with these onsets only."""
        keys = zip(
            self.rows["example_id"].astype(str),
            self.rows["sample_id"].astype(int),
            self.rows["pred_pos_in_full"].astype(int),
            strict=True,
        )
        kept = self.rows["has_onset"] & np.array([key in onsets for key in keys], dtype=bool)
        return replace(self, rows=self.rows.assign(has_onset=kept), sought="stable onsets")

    def without(self, problems: Collection[str]) -> "StudyRows":
        """The rows of all problems but these."""
        chosen = self.rows[~self.rows["example_id"].isin(set(problems))]
        return replace(self, rows=chosen.reset_index(drop=True))


def draw_study(
    files: StudyFiles,
    variant: str,
    *,
    max_events: int,
    controls: int,
    seed: int,
    token_map: TokenMap,
    kind: StudiedOnsets = "strict",
    stable: Collection[OnsetKey] | None = None,
    without: Collection[str] = (),
) -> list[Event]:
    """Baseline onsets of one variant of a run, some problems left out, each with its controls.

    Where stable ones are named, there are no others; what comes first in a row stays what it is.
    """
    source = StudyRows.read(files, variant, kind).without(without)
    if stable is not None:
        source = source.keeping(stable)
    return draw_events(
        source, variant, max_events=max_events, controls=controls, seed=seed, token_map=token_map
    )


def draw_events(
    source: StudyRows, variant: str, *, max_events: int, controls: int, seed: int, token_map: TokenMap
) -> list[Event]:
    """Onsets spread over problems, each with its controls; the same for the same rows and seed."""
    rows = source.rows
    onset_rows = rows[rows["has_onset"] & (rows["pred_pos_in_full"] >= 0)]
    if (problems := onset_rows["example_id"].nunique()) < FEWEST_PROBLEMS:
        read, sought = f"{len(rows):,} baseline completions", source.sought
        raise NotTestable(
            f"only {problems} {'problem' if problems == 1 else 'problems'} with {sought} in {read} "
            f"({FEWEST_PROBLEMS} needed)"
            if problems
            else f"no {sought} in {read} ({sought} in {FEWEST_PROBLEMS} problems needed)"
        )
    drawn = spread_over_problems(
        list(onset_rows["example_id"]), max_events, derive_seed(seed, "events", variant)
    )
    chosen = onset_rows.iloc[drawn]
    keys = dict(zip(rows.index, zip(rows["example_id"], rows["sample_id"], strict=True), strict=True))
    records = source.records({keys[label] for label in chosen.index})
    layouts = {label: Layout(records[keys[label]], token_map) for label in chosen.index}
    starts = chosen["onset_token_in_completion"].astype(int)
    places = {label: layouts[label].at(starts[label]) for label in chosen.index}
    candidates = _candidates(source, places.values(), token_map) if controls else {}
    stream = derive_seed(seed, "controls", variant)
    pairs = match_rows(chosen, places, rows, candidates, limit=controls, seed=stream)
    partners = source.records({keys[row] for row, _ in pairs.values()})
    events = []
    for label, row in zip(chosen.index, chosen.to_dict("records"), strict=True):
        matched: dict[ControlKind, tuple[GenerationRecord, Place, str]] = {}
        if label in pairs:
            partner, offset = partners[keys[pairs[label][0]]], pairs[label][1]
            same = partner.example_id == row["example_id"]
            how = "same_problem" if same else "nearest_difficulty"
            matched["matched_row"] = (partner, Layout(partner, token_map).at(offset), how)
        if (earlier := _earlier(records[keys[label]], row, layouts[label], places[label], seed)) is not None:
            matched["same_row_earlier"] = (records[keys[label]], *earlier)
        events.append(_event(row, records[keys[label]], places[label], matched))
    return events


def _candidates(source: StudyRows, places: Iterable[Place], token_map: TokenMap) -> dict[int, Candidates]:
    """Per row (label) where a trigger could come ahead of its first onset, at places like these."""
    rows = source.rows
    ends = np.minimum(rows["first_onset"].to_numpy(float), rows["completion_tokens"].to_numpy(float))
    labels = {
        (problem, int(sample)): (label, int(end))
        for problem, sample, label, end in zip(
            rows["example_id"], rows["sample_id"], rows.index, ends, strict=True
        )
    }
    kinds = {place.kind for place in places}
    candidates: dict[int, Candidates] = {}
    for record in source.every():
        if (key := (record.example_id, record.sample_id)) in labels:
            label, end = labels[key]
            candidates[label] = Layout(record, token_map).of_kinds(kinds, end)
    return candidates


def _earlier(
    record: GenerationRecord, row: Mapping[Hashable, Any], layout: Layout, place: Place, seed: int
) -> tuple[Place, str] | None:
    """A sentence start ahead of the row's first onset of any kind, like the event's place if it can be."""
    before = int(min(row["first_onset"], place.offset))
    starts = [layout.at(start) for start in layout.starts if start < before]
    alike = [start for start in starts if start.kind == place.kind and not start.after_wrong]
    if not starts:
        return None
    stream = derive_seed(seed, "earlier", record.variant, record.example_id, record.sample_id)
    chosen = alike or starts
    drawn = chosen[int(np.random.default_rng(stream).integers(len(chosen)))]
    return drawn, "same_row" if alike else "same_row_other_place"


def _event(
    row: Mapping[Hashable, Any],
    record: GenerationRecord,
    place: Place,
    matched: Mapping[ControlKind, tuple[GenerationRecord, Place, str]],
) -> Event:
    at = reading(record, place.offset)
    if at.next_id != row["onset_token_id"] or at.pos != row["pred_pos_in_full"]:
        raise UserError(
            f"the onset of row {record.example_id}/{record.sample_id} is not where the events table says",
            f"token {at.next_id} stands there, the table says {row['onset_token_id']}",
            "run: backtracking detect-events",
        )
    return Event(
        at,
        str(row["onset_phrase"]),
        str(row["onset_token_text"]),
        {kind: reading(other, there.offset) for kind, (other, there, _) in matched.items()},
        dict.fromkeys(CONTROL_KINDS, "unmatched") | {kind: how for kind, (_, _, how) in matched.items()},
        place,
        {kind: there for kind, (_, there, _) in matched.items()},
    )
