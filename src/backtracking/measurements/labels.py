"""How good is the detector? Sentences drawn for hand labels, and the detector scored against them.

The unit is the sentence: does its writer turn back here, doubting or redoing what came before? Sentences are
drawn from strata (each kind of onset, phrases that do not count, what only the scorer takes for an onset, and
the rest), so that rare errors are seen; weights undo the drawing, and intervals say what the sentences
without a label may hold. The labeller sees neither stratum nor detector.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from backtracking.config.onsets import MEMBERS, TOGETHER, TURN_KINDS
from backtracking.config.schema import DetectionConfig
from backtracking.errors import UserError
from backtracking.measurements.quality import SHARES, problems_behind
from backtracking.measurements.statistics import LEVEL, Array
from backtracking.run.records import GenerationRecord
from backtracking.text.onsets import Detector, Onset
from backtracking.text.onsets.scorer import Context, bundled_scorer

STRATA = {
    **{str(kind): 0.3 / len(TURN_KINDS) for kind in reversed(TURN_KINDS)},
    "strict": 0.15,
    "relaxed": 0.1,
    "phrase elsewhere": 0.1,
    "scorer only": 0.15,
    "no phrase": 0.2,
}
"""What is drawn, and its share of the sample; a sentence belongs to the first that it fits."""
_BY_RULES = (*TURN_KINDS, *TOGETHER)
DETECTORS = ("strict", "relaxed", "strict_anywhere", "relaxed_anywhere", *_BY_RULES, "scorer")
_STRATUM_OF = {"phrase elsewhere": "relaxed_anywhere", "scorer only": "scorer"}
SAMPLE_COLUMNS = ["item", "before", "sentence", "after", "label"]
KEY_COLUMNS = ["item", "example_id", "stratum", "population", *DETECTORS]

_SENTENCE = re.compile(r"[^.?!\n]*(?:[.?!](?!\s)[^.?!\n]*)*(?:[.?!]+|\n|\Z)\s*")
_TAG = re.compile(r"\s*</?\|?[A-Za-z_][\w|-]{0,30}>\s*")
_LAST_TAG = re.compile(r"</?\|?[A-Za-z_][\w|-]{0,30}>\s*\Z")
"""Such as <think>, as it stands before and behind reasoning."""
_SAYS = re.compile(r"\w")
_DRAWS = 4_000
_YES, _NO = {"y", "yes", "1", "true"}, {"n", "no", "0", "false"}


@dataclass(frozen=True)
class Sentence:
    """A sentence in its surroundings, and what the detectors say about it."""

    example_id: str
    before: str
    text: str
    after: str
    detected: dict[str, bool]

    @property
    def stratum(self) -> str:
        """The stratum that it is drawn from: the first detector that speaks up."""
        fits = (name for name in STRATA if self.detected.get(_STRATUM_OF.get(name, name)))
        return next(fits, "no phrase")


@dataclass
class _Reservoir:
    """A uniform draw of bounded size from a stream of unknown length."""

    size: int
    rng: random.Random
    seen: int = 0
    kept: list[Sentence] = field(default_factory=list)

    def offer(self, sentence: Sentence) -> None:
        self.seen += 1
        if len(self.kept) < self.size:
            self.kept.append(sentence)
        elif (place := self.rng.randrange(self.seen)) < self.size:
            self.kept[place] = sentence


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text stand, the white space behind each included; tags and rules are none."""
    return [span for match in _SENTENCE.finditer(text) for span in _without_tags(text, *match.span())]


def _without_tags(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence without the tags that it begins or ends with, where it says something."""
    while tag := _TAG.match(text, start, end):
        start = tag.end()
    while tag := _LAST_TAG.search(text, start, end):
        end = tag.start()
    if _SAYS.search(text, start, end):
        yield start, end


def sentences(record: GenerationRecord, detector: Detector) -> Iterator[Sentence]:
    """The sentences of a completion with the onsets that begin in each."""
    text = record.completion
    spans = sentence_spans(text)
    matches, turns = detector.all_matches(text), detector.turns(text)
    counted = set(detector.counted(matches))
    parts = ["", *(text[start:end].strip() for start, end in spans), ""]
    contexts = [Context(*around) for around in zip(parts[1:], parts, parts[2:], strict=False)]
    likely = bundled_scorer().judge(contexts)["doubt_or_redo"]
    for (start, end), context, is_likely in zip(spans, contexts, likely, strict=True):
        here = [match for match in matches if start <= match.start < end]
        kinds = {turn.kind for turn in turns if start <= turn.start < end}
        yield Sentence(
            example_id=record.example_id,
            before=context.before,
            text=context.text,
            after=context.after,
            detected=_detected(here, [match for match in here if match in counted])
            | {name: not kinds.isdisjoint(MEMBERS[name]) for name in _BY_RULES}
            | {"scorer": bool(is_likely)},
        )


def _detected(matches: Sequence[Onset], counted: Sequence[Onset]) -> dict[str, bool]:
    return {
        "strict": any(onset.kind == "strict" for onset in counted),
        "relaxed": bool(counted),
        "strict_anywhere": any(onset.kind == "strict" for onset in matches),
        "relaxed_anywhere": bool(matches),
    }


def draw_sample(
    records: Iterable[GenerationRecord], detection: DetectionConfig, *, count: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The blinded sheet to label, and its key; a stratum with too few sentences passes its share on."""
    rng, detector = random.Random(seed), Detector(detection)
    drawn = {stratum: _Reservoir(count, rng) for stratum in STRATA}
    for record in records:
        for sentence in sentences(record, detector):
            drawn[sentence.stratum].offer(sentence)
    sizes = _allocate(count, {stratum: len(part.kept) for stratum, part in drawn.items()})
    chosen = []
    for stratum, part in drawn.items():
        rng.shuffle(part.kept)
        chosen += [(sentence, stratum, part.seen) for sentence in part.kept[: sizes[stratum]]]
    rng.shuffle(chosen)
    sheet, key = [], []
    for item, (sentence, stratum, population) in enumerate(chosen, start=1):
        sheet.append([item, sentence.before, sentence.text, sentence.after, ""])
        key.append(
            [item, sentence.example_id, stratum, population, *(sentence.detected[d] for d in DETECTORS)]
        )
    return pd.DataFrame(sheet, columns=SAMPLE_COLUMNS), pd.DataFrame(key, columns=KEY_COLUMNS)


def _allocate(count: int, available: dict[str, int]) -> dict[str, int]:
    """Sizes by the strata's shares, at least one; what a stratum cannot fill goes to the others."""
    sizes = {
        stratum: min(max(1, int(count * share)), available[stratum]) for stratum, share in STRATA.items()
    }
    for stratum in STRATA:
        sizes[stratum] += min(available[stratum] - sizes[stratum], count - sum(sizes.values()))
    return sizes


def score_detectors(sheet: pd.DataFrame, key: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and their harmonic mean of every detector, for all sentences that were drawn from."""
    rows = key.merge(sheet[["item", "label"]], on="item", validate="one_to_one")
    rows["label"] = _read_labels(rows)
    labelled = rows.dropna(subset="label")
    if labelled.empty:
        raise UserError("no sentence is labelled yet", "", "write y or n into the column `label`")
    if missing := sorted({*rows["stratum"]} - {*labelled["stratum"]}):
        raise UserError(
            f"no labelled sentence represents the group {', '.join(map(repr, missing))}",
            "what the detectors miss or find in a group cannot be told without a label in each",
            "label more of the sheet; its sentences are in random order",
        )
    judged = [name for name in DETECTORS if name in key]  # older keys hold fewer
    return pd.DataFrame([{"detector": name, **_score(labelled, name)} for name in judged])


def _read_labels(rows: pd.DataFrame) -> list[bool | None]:
    words = rows["label"].fillna("").astype(str).str.strip().str.lower()
    known = _YES | _NO | {""}
    if strange := [str(item) for item, word in zip(rows["item"], words, strict=True) if word not in known]:
        raise UserError(
            f"labels that are neither yes nor no, at items {', '.join(strange[:10])}",
            "a label is y or n; an empty one means not labelled",
            "correct the column `label`",
        )
    return [None if word == "" else word in _YES for word in words]


def _score(rows: pd.DataFrame, detector: str) -> dict[str, Any]:
    """Shares over the whole population of sentences, and their intervals over the labels not given."""
    rng = np.random.default_rng(0)
    estimated, drawn = np.zeros((3, 1)), np.zeros((3, _DRAWS))
    for _, stratum in rows.groupby("stratum"):
        counts = _outcomes(stratum, detector)
        population = int(stratum["population"].iloc[0])
        estimated += population * counts[:3, None] / counts.sum()
        drawn += _populations(rng, counts, population)[:3]
    line: dict[str, Any] = {
        "labelled": len(rows),
        "labelled_problems": rows["example_id"].nunique(),
        "labelled_yes": int(rows["label"].sum()),
        "drawn_from": int(rows.drop_duplicates("stratum")["population"].sum()),
    }
    for name, value, draws in zip(SHARES, _shares(estimated), _shares(drawn), strict=True):
        known = draws[np.isfinite(draws)]
        low, high = np.quantile(known, (LEVEL / 2, 1 - LEVEL / 2)) if known.size else (np.nan, np.nan)
        estimate = float(value[0])
        # zero hits put the estimate itself at the edge of what is plausible
        line |= {name: estimate, f"{name}_low": min(low, estimate), f"{name}_high": max(high, estimate)}
    detected, true = (rows[column].to_numpy(bool) for column in (detector, "label"))
    return line | problems_behind(detected, true, rows["example_id"])


def _outcomes(stratum: pd.DataFrame, detector: str) -> Array:
    """How many labelled sentences are hits, false alarms, misses and rightly passed over."""
    true, detected = stratum["label"].astype(bool), stratum[detector].astype(bool)
    cells = (true & detected, ~true & detected, true & ~detected, ~true & ~detected)
    return np.array([cell.sum() for cell in cells], dtype=float)


def _populations(rng: np.random.Generator, counts: Array, population: int) -> Array:
    """What all sentences of a stratum may be, given the labelled ones: draws under Jeffreys' prior.

    Whether the detector fires in this stratum is known as far as it always or never did.
    """
    fires, silent = counts[:2].sum() > 0, counts[2:].sum() > 0
    possible = np.repeat([fires, silent], 2)
    shares = np.zeros((_DRAWS, 4))
    shares[:, possible] = rng.dirichlet(counts[possible] + 0.5, size=_DRAWS)
    rest = max(0, population - int(counts.sum()))
    return counts[:, None] + rng.multinomial(rest, shares).T


def _shares(outcomes: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of columns of hits, false alarms and misses."""
    hits, alarms, misses = outcomes
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (hits + alarms), hits / (hits + misses), 2 * hits / (2 * hits + alarms + misses)
