"""Which onsets are analysed, and which positions without an onset each is compared with."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from backtracking.config.onsets import MEMBERS, StudiedOnsets
from backtracking.errors import NotTestable, UserError
from backtracking.run import io
from backtracking.run.cells import original
from backtracking.run.inputs import EventRows, note
from backtracking.run.records import BASELINE_NAME, GenerationRecord, RowId
from backtracking.run.seed import derive_seed
from backtracking.text.tokenization import TokenMap

ControlKind = Literal["matched_row", "same_row_earlier"]
FEWEST_PROBLEMS = 2
"""An interval over problems takes at least so many."""
MADE_BY = "backtracking detect-events"
CONTROL_KINDS: tuple[ControlKind, ...] = ("matched_row", "same_row_earlier")

_OTHER_PROBLEM = 10.0
_HAS_LATER_ONSET = 1.0
_JITTER = 1e-3
_FORBIDDEN = 1e6
_ONSET_COLUMNS = {
    "onset_phrase": "phrase",
    "onset_token_in_completion": "token_start",
    "onset_token_id": "token_id",
    "onset_token_text": "token_text",
    "pred_pos_in_full": "pred_pos_in_full",
}
"""The events table's names for what the table of onsets says."""
_SENTENCE_ENDS = (".", "!", "?", "\n", "。", "！", "？")
_CLOSERS = "\"'”’)]}*_$ \t"


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

    @property
    def onset_id(self) -> int:
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
    return baseline_rows(table, variant, str(events_path))


def baseline_rows(events: pd.DataFrame, variant: str, source: str = "these rows") -> pd.DataFrame:
    """The baseline rows of one variant of an events table, read from a file or made in memory."""
    wanted = (events["variant"] == variant) & (events["condition"] == BASELINE_NAME)
    rows = events[wanted].reset_index(drop=True)
    if rows.empty:
        raise UserError(
            f"{source} has no baseline rows of {variant!r}",
            "the mechanism is studied on unchanged generations",
            f"run: backtracking generate --condition baseline --variant {variant}, then detect-events",
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
    return wanted.of(original(pd.read_csv(wanted.path, keep_default_na=False, **options)))


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


def difficulty(rows: pd.DataFrame) -> pd.Series:
    """Per problem how hard the model finds it: its share of wrong answers, then its length."""
    by_problem = rows.groupby("example_id")
    correct = rows["is_correct"].map({"True": 1.0, "False": 0.0})
    wrong = 1.0 - correct.groupby(rows["example_id"]).mean()
    length = by_problem["completion_tokens"].mean()
    hard: pd.Series = wrong.fillna(0.5) + 0.1 * np.log(length.clip(lower=1.0))
    return hard


def match_rows(events: pd.DataFrame, rows: pd.DataFrame, *, limit: int, seed: int) -> dict[int, int]:
    """Give each event (row label) a control row (row label), no row twice, as many events as possible.

    A control has no onset of any kind up to the event's offset and goes on at least one token further.
    One from the same problem is preferred, then one of near difficulty, then one that never backtracks.
    """
    if events.empty or limit == 0:
        return {}
    generator = np.random.default_rng(seed)
    hard = difficulty(rows)
    first = rows["first_onset"].to_numpy(float)
    offsets = events["onset_token_in_completion"].to_numpy(float)[:, None]
    here, there = events["example_id"].to_numpy(), rows["example_id"].to_numpy()
    other = here[:, None] != there[None, :]
    gap = np.abs(hard[here].to_numpy()[:, None] - hard[there].to_numpy()[None, :])
    cost = np.where(other, _OTHER_PROBLEM + gap, 0.0)
    cost += _HAS_LATER_ONSET * np.isfinite(first)[None, :]
    cost += _JITTER * generator.random(cost.shape)
    allowed = (first[None, :] > offsets) & (rows["completion_tokens"].to_numpy(float)[None, :] > offsets)
    chosen_events, chosen_rows = linear_sum_assignment(np.where(allowed, cost, _FORBIDDEN))
    pairs = [(e, r) for e, r in zip(chosen_events, chosen_rows, strict=True) if allowed[e, r]]
    kept = sorted(generator.permutation(len(pairs))[:limit])
    return {int(events.index[int(pairs[k][0])]): int(rows.index[int(pairs[k][1])]) for k in kept}


def sentence_starts(pieces: Sequence[str]) -> list[int]:
    """Tokens that a sentence or a line begins with: where the model could have begun another one.

    Where the space is a token of its own, the sentence begins with it, since that is what stands in the
    place of ` Wait`. A digit right behind a full stop goes on with a number ("16.5"); behind a space it
    does not ("16. 5").
    """
    starts: list[int] = []
    for k in range(1, len(pieces)):
        before = "".join(pieces[max(0, k - 4) : k])
        if not before.rstrip(_CLOSERS).endswith(_SENTENCE_ENDS) or _is_line_break(pieces[k]):
            continue
        goes_on = before.endswith(".") and pieces[k][:1].isdigit()
        closes = bool(pieces[k]) and not pieces[k].strip(_CLOSERS) and not pieces[k].isspace()
        behind_its_space = starts[-1:] == [k - 1] and pieces[k - 1].isspace()
        if pieces[k] and not (goes_on or closes or behind_its_space):
            starts.append(k)
    return starts


def _is_line_break(piece: str) -> bool:
    """Blank with a line break in it: it still belongs to the end of the sentence before."""
    return piece.isspace() and "\n" in piece


def read_records(path: Path, keys: Collection[RowId]) -> dict[RowId, GenerationRecord]:
    """The generations behind some rows; the rest of the file streams past."""
    records = {
        key: record
        for record in io.read_jsonl(path, GenerationRecord, made_by="backtracking generate")
        if (key := (record.example_id, record.sample_id)) in keys
    }
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

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        onsets: pd.DataFrame,
        variant: str,
        records: Callable[[Collection[RowId]], Mapping[RowId, GenerationRecord]],
        kind: StudiedOnsets,
    ) -> "StudyRows":
        return cls(with_onsets(rows, onsets, variant, kind), records)

    @classmethod
    def read(cls, files: StudyFiles, variant: str, kind: StudiedOnsets) -> "StudyRows":
        rows, onsets = read_baseline(files.events, variant), read_onsets(files.onsets, variant)
        return cls.of(rows, onsets, variant, lambda keys: read_records(files.generations, keys), kind)


def draw_study(
    files: StudyFiles,
    variant: str,
    *,
    max_events: int,
    controls: int,
    seed: int,
    token_map: TokenMap,
    kind: StudiedOnsets = "strict",
) -> list[Event]:
    """Baseline onsets of one variant of a run, spread over problems, each with its controls."""
    source = StudyRows.read(files, variant, kind)
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
        raise NotTestable.too_few_problems(
            f"with an onset in {len(rows):,} baseline completions",
            problems,
            FEWEST_PROBLEMS,
            "an interval is taken over problems",
        )
    drawn = spread_over_problems(
        list(onset_rows["example_id"]), max_events, derive_seed(seed, "events", variant)
    )
    chosen = onset_rows.iloc[drawn]
    pairs = match_rows(chosen, rows, limit=controls, seed=derive_seed(seed, "controls", variant))
    keys = dict(zip(rows.index, zip(rows["example_id"], rows["sample_id"], strict=True), strict=True))
    records = source.records({keys[label] for label in [*chosen.index, *pairs.values()]})
    events = []
    for label, row in zip(chosen.index, chosen.to_dict("records"), strict=True):
        partner = records[keys[pairs[label]]] if label in pairs else None
        events.append(_event(row, records[keys[label]], partner, token_map, seed))
    return events


def _event(
    row: Mapping[Hashable, Any],
    record: GenerationRecord,
    partner: GenerationRecord | None,
    token_map: TokenMap,
    seed: int,
) -> Event:
    offset = int(row["onset_token_in_completion"])
    at = reading(record, offset)
    if at.next_id != row["onset_token_id"] or at.pos != row["pred_pos_in_full"]:
        raise UserError(
            f"the onset of row {record.example_id}/{record.sample_id} is not where the events table says",
            f"token {at.next_id} stands there, the table says {row['onset_token_id']}",
            "run: backtracking detect-events",
        )
    controls: dict[ControlKind, Reading] = {}
    matching: dict[ControlKind, str] = dict.fromkeys(CONTROL_KINDS, "unmatched")
    if partner is not None:
        controls["matched_row"] = reading(partner, offset)
        same = partner.example_id == record.example_id
        matching["matched_row"] = "same_problem" if same else "nearest_difficulty"
    earlier = _earlier_start(record, int(min(row["first_onset"], offset)), token_map, seed)
    if earlier is not None:
        controls["same_row_earlier"] = reading(record, earlier)
        matching["same_row_earlier"] = "same_row"
    return Event(at, str(row["onset_phrase"]), str(row["onset_token_text"]), controls, matching)


def _earlier_start(record: GenerationRecord, before: int, token_map: TokenMap, seed: int) -> int | None:
    """A sentence start of the same row ahead of its first onset of any kind."""
    starts = sentence_starts(token_map(record.completion_ids, record.completion).pieces()[:before])
    if not starts:
        return None
    stream = derive_seed(seed, "earlier", record.variant, record.example_id, record.sample_id)
    return int(np.random.default_rng(stream).choice(starts))


def matching_table(events: Iterable[Event]) -> pd.DataFrame:
    """One row per event and control kind, the unmatched ones included."""
    rows = []
    for event in events:
        for kind in CONTROL_KINDS:
            control = event.controls.get(kind)
            rows.append(
                {
                    "example_id": event.at.example_id,
                    "sample_id": event.at.sample_id,
                    "pred_pos": event.at.pos,
                    "onset_phrase": event.phrase,
                    "onset_token_id": event.onset_id,
                    "onset_token_text": event.token_text,
                    "control_kind": kind,
                    "matching": event.matching.get(kind, "unmatched"),
                    "control_example_id": control.example_id if control else None,
                    "control_sample_id": control.sample_id if control else None,
                    "control_pos": control.pos if control else None,
                }
            )
    table = pd.DataFrame(rows)
    return table.astype({"control_sample_id": "Int64", "control_pos": "Int64"})
