"""Two runs side by side, in words and tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from backtracking.claims.wording import counted, fixed, plainly, points, quoted, rate_text
from backtracking.measurements.metrics import BY_NAME
from backtracking.reports.columns import Lines
from backtracking.reports.document import Document
from backtracking.reports.two_runs.components import EFFECTS
from backtracking.reports.two_runs.settings import RECORDED, lacking_record

SAME = "No difference."
_SHOWN = 60
"""Characters of a setting's value."""

Comparison = Mapping[str, Any]


def page(data: Comparison) -> Document:
    """What `compared` found."""
    names = [data[side]["name"] for side in "ab"]
    document = Document(f"Runs {names[0]} and {names[1]}")
    document.say(
        f"A is {quoted(names[0])}, B is {quoted(names[1])}; differences are B − A, with 95% intervals."
    )
    _lacking(document, data)
    _verdicts(document, data["verdicts"])
    _rates(document, data)
    _components(document, data)
    document.section("Settings")
    _differences(document, "Settings that differ", data["settings"])
    document.section("Code, model and data")
    made_with = [*data["made_with"], *data["packages"]]
    unrecorded = [side.upper() for side in "ab" if lacking_record(RECORDED) in data["lacking"][side]]
    if made_with or not unrecorded:
        _differences(document, "What the runs were made with", made_with)
    else:
        document.say(f"Not compared: {' and '.join(unrecorded)} recorded none of them.")
    return document


def _lacking(document: Document, data: Comparison) -> None:
    items = [f"{side.upper()} lacks {what}" for side in "ab" for what in data["lacking"][side]]
    if items:
        document.section("Not compared")
        document.bullets(items)


def _verdicts(document: Document, verdicts: Sequence[Comparison]) -> None:
    document.section("Verdicts")
    if not verdicts:
        document.say("Neither run has verdicts.")
        return
    both = [verdict for verdict in verdicts if verdict["a"] and verdict["b"]]
    differ = [verdict for verdict in both if verdict["a"]["outcome"] != verdict["b"]["outcome"]]
    if both:
        document.say(f"Judged in both runs: {len(both)}. Different verdicts: {len(differ)}.")
    _table(
        document,
        "Verdicts of both runs",
        ["Claim", "A", "B"],
        [
            [_marked(verdict, verdict in differ), _outcome(verdict["a"]), _outcome(verdict["b"])]
            for verdict in verdicts
        ],
        holds="text",
    )
    if differ:
        document.bullets(
            [
                f"{verdict['claim']}: {side.upper()} {verdict[side]['outcome']}, {verdict[side]['because']}"
                for verdict in differ
                for side in "ab"
            ]
        )


def _marked(verdict: Comparison, is_different: bool) -> str:
    return f"**{verdict['claim']}**" if is_different else str(verdict["claim"])


def _outcome(verdict: Comparison | None) -> str:
    return "not judged" if verdict is None else str(verdict["outcome"])


def _rates(document: Document, data: Comparison) -> None:
    document.section("Rates")
    lines, names = data["rates"], itemgetter("variant", "condition")
    shared = {names(counts): counts for counts in data["completions"]}
    if not lines:
        document.say("No condition is in both runs.")
        return
    for (variant, condition), group in groupby(lines, names):
        part = list(group)
        document.section(f"{quoted(condition)} under {quoted(variant)}", level=3)
        document.say(" ".join(filter(None, (_problems(part[0]), _same(shared.get((variant, condition)))))))
        name = f"{quoted(condition)} under {quoted(variant)} in both runs"
        _table(document, name, ["Metric", "A", "B", "B − A"], [_rate(line) for line in part])


def _problems(line: Comparison) -> str:
    ours, theirs, shared = line["problems_a"], line["problems_b"], line["problems"]
    if not ours or not theirs:
        return "Only rates are known here, so differences have no intervals."
    counts = f"{counted(ours, 'problem')} in A, {theirs:,} in B"
    if line["paired"]:
        return f"{counts}; what follows is about the {shared:,} in both, and differences are paired by them."
    return f"{counts}, {shared:,} in both; differences are those of independent runs."


def _same(counts: Comparison | None) -> str:
    """How many completions are the same in both runs, and what differences then come from."""
    if counts is None or not counts["same"]:
        return ""
    both, same, alike = counts["both"], counts["same"], "the same, token for token"
    if same < both:
        return f"Of {both:,} completions of the same problem and sample {same:,} are {alike}."
    whole = [side for side in "ab" if counts[side] == both]
    if len(whole) == 2:
        return f"All {both:,} completions are {alike}, in both."
    if not whole:
        return f"The {both:,} completions that both have are {alike}."
    part, other = ("A", "B") if whole == ["a"] else ("B", "A")
    return (
        f"All {both:,} completions of {part} are among the {counts[other.lower()]:,} of {other}, token for"
        f" token, so differences come only from completions that {part} does not have."
    )


def _rate(line: Comparison) -> list[str]:
    metric = BY_NAME[line["metric"]]
    a, b = (_cell(line.get(f"{side}_shared") or line[side]) for side in "ab")
    difference = _cell(line["difference"])
    label = metric.label or metric.name.replace("_", " ")
    if metric.is_share:
        apart = f"{points(difference, 'x')} points" if difference else "—"
        return [label, rate_text(a, "x", n=None), rate_text(b, "x", n=None), apart]
    place = fixed(a.get("x"), b.get("x"))
    return [
        label,
        plainly(a, "x", place),
        plainly(b, "x", place),
        plainly(difference, "x", f"+{place}"),
    ]


def _cell(interval: Comparison) -> dict[str, float]:
    """An interval as a row that the words are made from; what is not defined is left out."""
    names = {"x": "value", "x_low": "low", "x_high": "high"}
    return {name: interval[end] for name, end in names.items() if interval[end] is not None}


def _components(document: Document, data: Comparison) -> None:
    document.section("Selected components")
    rows = list(_component_rows(data["components"]))
    if not rows:
        lacks = any("selected components" in what for side in "ab" for what in data["lacking"][side])
        document.say("Not compared." if lacks else "Neither run selected a component.")
        return
    rules = _how_selected(*(data["selected_by"][side] for side in "ab"))
    document.say(f"{rules} Beside each component: what its removal changed in that run's scan.")
    _table(document, "Components that a run selected", ["Component", "A", "B"], rows, holds="text")


def _how_selected(ours: str, theirs: str) -> str:
    """The rule of each run, said once where it is one."""
    if ours == theirs:
        return f"Both {_selected_by(ours, 'do not')}."
    return f"A {_selected_by(ours)}, B {_selected_by(theirs)}."


def _selected_by(rule: str, no: str = "does not") -> str:
    return f"{no} say how components were selected" if rule == "unknown" else f"selected by {quoted(rule)}"


def _component_rows(lines: Sequence[Comparison]) -> Iterator[list[str]]:
    for line in lines:
        cells = [
            f"{'selected' if line[f'selected_{side}'] else 'not selected'}, {_effect(line[side])}"
            for side in "ab"
        ]
        yield [f"{line['component']} {line['layer']}", *cells]


def _effect(effect: Comparison | None) -> str:
    if effect is None:
        return "not in its scan"
    return f"{EFFECTS[effect['measure']]} {plainly(_cell(effect), 'x', '+.2f')}"


def _differences(document: Document, name: str, lines: Sequence[Comparison]) -> None:
    if not lines:
        document.say(SAME)
        return
    rows = [[quoted(line["key"]), *(_value(line[side]) for side in "ab")] for line in lines]
    _table(document, name, ["What", "A", "B"], rows, holds="text")


def _value(value: object) -> str:
    if value is None:
        return "not set"
    return quoted(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), limit=_SHOWN)


def _table(
    document: Document,
    name: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    holds: str = "numbers",
) -> None:
    """A table of cells that are written already; the first column names what each line is about."""
    lines = Lines([dict(zip(head, row, strict=True)) for row in rows])
    first, *others = head
    names = lines.column(first, itemgetter(first), holds="names")
    document.table(name, [names, *(lines.column(one, itemgetter(one), holds=holds) for one in others)])
