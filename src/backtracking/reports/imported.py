"""The beginning of a report on imported traces: what they show, and what it takes to judge the claims."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.labels import LABEL_SAMPLE, QUALITY, SENTENCE_LABELS
from backtracking.claims.verdict import Verdict
from backtracking.claims.wording import TableLine, counted, lines_of, number, rate_text
from backtracking.config.onsets import THE_WRITER, TOGETHER, TURN_KINDS
from backtracking.measurements.floors import FEWEST_PROBLEMS, NOT_TESTABLE
from backtracking.measurements.tallies import truth
from backtracking.reports.page import Page
from backtracking.reports.quality import quality_in_short
from backtracking.reports.verdicts import FINDINGS, how_judged

_MODEL = "A model to look into and to intervene in"
_FORMATS = "The same problems in a second prompt format"
NEEDS: Mapping[str, str] = {
    **dict.fromkeys(("H1", "contributes", "H0", "carries", "writes", "accuracy_intact"), _MODEL),
    **dict.fromkeys(("H2", "format_effect"), _FORMATS),
    "error_detection": "Traces that state arithmetic, with wrong and right steps in the same problems",
    "costs_accuracy": "Gold answers and several traces of a problem, right and wrong, with and without onset",
}
"""What data each claim of Phase 1 is judged by, for a reader who has traces and nothing else."""


def write_what_traces_show(page: Page) -> None:
    """Counts, the rates of doubt and redo, what is known of endings and of right answers."""
    table = page.evidence.table(files.FORMATS)
    if table is None:
        return
    row = lines_of(table)[0]
    page.section("What these traces show")
    page.bullets([_how_many(row), *_turns(row), _endings(page, row), _answers(row), _how_to_trust(page)])


def _how_many(row: TableLine) -> str:
    problems = int(number(row, "problems") or 0)
    said = f"{counted(int(number(row, 'total') or 0), 'trace')} of {counted(problems, 'problem')}."
    if problems < FEWEST_PROBLEMS:
        said += (
            f" With fewer than {FEWEST_PROBLEMS} problems, what follows describes these traces; no claim"
            " about others can rest on it."
        )
    return said


def _turns(row: TableLine) -> Sequence[str]:
    kinds = [
        f"**{kind.capitalize()}** in {rate_text(row, f'{kind}_rate', n=None)} of the traces: the writer"
        f" {THE_WRITER[kind]}."
        for kind in TURN_KINDS
    ]
    either = [
        f"At least one of {' and '.join(members)} in {rate_text(row, f'{name}_rate', n=None)}."
        for name, members in TOGETHER.items()
    ]
    strict = rate_text(row, "backtracking_rate", n=None)
    return [*kinds, *either, f"A strict phrase, as the earlier study counted, in {strict}."]


def _endings(page: Page, row: TableLine) -> str:
    if number(row, "truncation_rate") is not None:
        return f"Cut before their end: {rate_text(row, 'truncation_rate', n=None)}."
    known, cut, total = *_known_endings(page), int(number(row, "total") or 0)
    if not known:
        said = "How the traces ended is not known: nothing that came with them says it"
    else:
        said = (
            f"How the traces ended is known of {known:,} of them only, and {cut:,} of these"
            f" {'was' if cut == 1 else 'were'} cut; of the other {total - known:,} nothing says it"
        )
    return said + " (`finish_reason` or `stop_reason`), so the share of those cut off is unknown."


def _known_endings(page: Page) -> tuple[int, int]:
    """Of how many traces it is known how they ended, and how many of these were cut."""
    events = page.evidence.table(files.EVENTS)
    if events is None or "truncated" not in events:
        return 0, 0
    known = truth(events["truncated"]).dropna()
    return len(known), int(known.sum())


def _answers(row: TableLine) -> str:
    if not number(row, "gold_count"):
        return "No trace came with a gold answer, so nothing is said of right and wrong ones."
    gold = int(number(row, "gold_count") or 0)
    said = (
        f"Right answers: {rate_text(row, 'accuracy', n=None)} of {counted(gold, 'trace')} with a gold answer"
    )
    ungraded = gold - int(number(row, "graded_count") or 0)
    if not ungraded:
        return f"{said}; all of them could be graded."
    return (
        f"{said}; {ungraded:,} of these could not be graded (no answer, or no plain one)"
        f" and {'counts' if ungraded == 1 else 'count'} as wrong. Among those that could:"
        f" {rate_text(row, 'accuracy_graded', n=None)}."
    )


def _how_to_trust(page: Page) -> str:
    run = page.evidence.paths.run_id
    said = "Whether a reader would find the same onsets, only labels of such text can say:"
    if held := quality_in_short(page):
        return held
    has_labels = page.evidence.table(SENTENCE_LABELS) is not None
    ways = (
        f" `backtracking {SENTENCE_LABELS.maker} LABELS.jsonl --run-id {run}` brings labels that you have,"
        f" `backtracking {LABEL_SAMPLE.maker} --run-id {run}` draws sentences to label; then"
    )
    scored = f"`{QUALITY.made_in(page.evidence.paths)}` scores the detectors with them."
    return f"{said}{'' if has_labels else ways} {scored}"


def write_findings_of_traces(page: Page, verdicts: Sequence[Verdict]) -> None:
    """The claims that could be judged; of the others what data they wait for, and the rest on demand."""
    page.section(FINDINGS)
    page.say(how_judged(verdicts))
    judged = [verdict for verdict in verdicts if verdict.outcome != NOT_TESTABLE]
    waiting = [verdict for verdict in verdicts if verdict.outcome == NOT_TESTABLE]
    if judged:
        page.judge(judged)
    if not waiting:
        return
    by_need: dict[str, list[str]] = defaultdict(list)
    for verdict in waiting:
        by_need[NEEDS[verdict.key]].append(verdict.claim)
    page.say("What is not testable here waits for other data:")
    page.bullets([f"**{need}**, for: {'; '.join(claims)}." for need, claims in by_need.items()])
    with page.folded(f"What each of these {len(waiting)} claims lacks here, and its rule"):
        page.judge(waiting)
