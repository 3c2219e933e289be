"""The calibration as Markdown: truth by verdict, found rates, false claims, power."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scipy import stats

from backtracking.calibration.calibrate import PlantedStudy
from backtracking.calibration.nulls import CHOICES, SUPPORTED
from backtracking.calibration.power import Plan, power
from backtracking.calibration.second_nulls import REDUCTION
from backtracking.calibration.truths import BY_NAME, Truth
from backtracking.run import io

SIGNS = {"supported": "yes", "contradicted": "no", "inconclusive": "?", "not testable": "–"}
FALSE_OF_RELABELLED = {
    "one writer": ("H1", "contributes", "H2", "format_effect", "costs_accuracy"),
    "null": ("H1", "contributes", "H2", "format_effect", "costs_accuracy"),
}
"""Claims that are false of rows whose labels were drawn again: no arm and no format differs truly."""
FALSE_OF_NULLS = (*FALSE_OF_RELABELLED["null"], "writes", "carries", "error_detection", "onset_step")
"""Claims that are false of null models; what passes over prefixes decide, rows drawn again do not."""
HEADING = "## Calibration"


def tables_as_markdown(results: Sequence[PlantedStudy]) -> str:
    """Every table."""
    by_kind: dict[str, list[PlantedStudy]] = defaultdict(list)
    for result in results:
        by_kind[result.kind].append(result)
    first, second = by_kind["truth"], by_kind["second"]
    parts = [_truths(first, _FIRST)] if first else []
    parts += [_found([*first, *second])]
    parts += [_truths(second, _SECOND)] if second else []
    parts += [_false(by_kind), _power()]
    return "\n\n".join(parts) + "\n"


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_FIRST = (
    "Each line is a truth in one architecture, studied by the whole first phase "
    "({problems} problems × {samples} completions, {sets} random sets; where problems are many, 2), and by "
    "Phase 2's stage at the onset step"
)
_SECOND = (
    "The same of Phase 2: arms picked on half of the problems ({samples} completions of each) and confirmed "
    "on the other half, behind {prefixes} fixed prefixes as well"
)


def _truths(results: Sequence[PlantedStudy], lines: str) -> str:
    claims = list(dict.fromkeys(claim for result in results for claim in result.outcomes))

    def cell(studies: Sequence[PlantedStudy], claim: str) -> str:
        counts = Counter(study.outcomes.get(claim, "not testable") for study in studies)
        return ", ".join(
            _sign(BY_NAME[studies[0].truth], claim, outcome, counts[outcome], len(studies))
            for outcome in SIGNS
            if outcome in counts
        )

    alike: dict[tuple[str, str, int], list[PlantedStudy]] = defaultdict(list)
    for result in results:
        alike[result.truth, result.architecture, result.size["problems"]].append(result)
    rows = [
        [truth, architecture, f"{len(studies)} × {problems}", *(cell(studies, claim) for claim in claims)]
        for (truth, architecture, problems), studies in alike.items()
    ]
    said = (
        f"{lines.format(**results[0].size)}: `yes` supported, `no` contradicted, `?` inconclusive, `–` not "
        "testable. A verdict against the truth is marked."
    )
    told = [f"- *{name}*: {BY_NAME[name].says}" for name in dict.fromkeys(result.truth for result in results)]
    return "\n\n".join([said, "\n".join(told), _rows(["truth", "in", "seeds × problems", *claims], rows)])


def _sign(truth: Truth, claim: str, outcome: str, count: int, studies: int) -> str:
    """How an outcome is shown, and of how many studies where there are several."""
    said = SIGNS[outcome] if studies == 1 else f"{SIGNS[outcome]} {count}"
    return f"**{said} (false)**" if truth.is_wrong(claim, outcome) else said


def _found(results: Sequence[PlantedStudy]) -> str:
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for result in results:
        for claim, wanted in BY_NAME[result.truth].must.items():
            counts[result.truth, claim].append(result.outcomes.get(claim) == wanted)
    rows = [
        [truth, claim, BY_NAME[truth].must[claim], _found_share(sum(hits), len(hits))]
        for (truth, claim), hits in counts.items()
    ]
    said = "How often each plant is found (with the lower end of its 95% interval):"
    return f"{said}\n\n" + _rows(["truth", "claim", "must be", "found"], rows)


def _false(by_kind: Mapping[str, Sequence[PlantedStudy]]) -> str:
    rows = []
    for claim in FALSE_OF_NULLS:
        models = [result.outcomes.get(claim) for result in by_kind["null"]]
        drawn = [result for result in by_kind["relabelled"] if claim in FALSE_OF_RELABELLED[result.truth]]
        planned = [result.outcomes.get(claim) for result in drawn]
        tried = [result for result in by_kind["analyst"] if claim in FALSE_OF_RELABELLED[result.truth]]
        rows.append(
            [
                claim,
                _share(sum(outcome == SUPPORTED for outcome in models), len(models)),
                _share(sum(outcome == SUPPORTED for outcome in planned), len(planned)),
                _share(sum(claim in result.ever for result in tried), len(tried)),
            ]
        )
    rows += [_second_false(by_kind, claim) for claim in REDUCTION]
    said = (
        "How often a false claim is supported (with the upper end of its 95% interval). *Null models* say "
        "a trigger at random and go through the whole first phase. *Relabelled* studies are the rows of a "
        "finished study whose formats and conditions were drawn again within each problem, so that nothing "
        "differs; they are judged without the audit. For the claims of Phase 2 the arms of a finished "
        "sweep are mixed in the same way, and one is picked and confirmed. The fixed prefixes are left out, "
        "so rows decide; what the scan, the injections and the onset step decide is not drawn again, so null "
        "models alone count there. The *partial analyst* "
        f"tries {len(CHOICES)} analyses of such a study (half of the problems, half of the completions, "
        "other targets, as another mode or k would pick; in Phase 2 also no confirmation, and a margin of "
        "10 points) and keeps any that supports the claim: this column holds the price of choosing after "
        "the fact, not an error rate of the rules."
    )
    return said + "\n\n" + _rows(["claim", "null models", "relabelled", "partial analyst"], rows)


def _second_false(by_kind: Mapping[str, Sequence[PlantedStudy]], claim: str) -> list[str]:
    planned = [study.outcomes.get(claim) == SUPPORTED for study in by_kind["mixed"]]
    ever = [claim in study.ever for study in by_kind["second analyst"]]
    return [claim, "–", _share(sum(planned), len(planned)), _share(sum(ever), len(ever))]


def _found_share(hits: int, studies: int) -> str:
    low = 0.0 if hits == 0 else float(stats.beta.ppf(0.025, hits, studies - hits + 1))
    return f"{hits} of {studies} (≥ {low:.0%})"


def _share(hits: int, studies: int) -> str:
    if not studies:
        return "–"
    high = 1.0 if hits == studies else float(stats.beta.ppf(0.975, hits + 1, studies - hits))
    return f"{hits} of {studies} (≤ {high:.0%})"


def _power() -> str:
    effects, problems = (0.02, 0.05, 0.1, 0.2), (25, 50, 100, 200, 400)
    rows = [
        [f"{count}", *(f"{power(Plan(count, 6, 0.65, 0.2), effect):.0%}" for effect in effects)]
        for count in problems
    ]
    head = ["problems", *(f"−{100 * effect:.0f} points" for effect in effects)]
    return (
        "Power to see a fall in the share of completions with an onset (baseline 65%, six completions per "
        "problem, likeness 0.2; `backtracking power` gives it for other studies):\n\n" + _rows(head, rows)
    )


def write_section(page: Path, table: str) -> None:
    """Put the tables where the page's section on calibration is, or at its end."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, heading, after = text.partition(f"{HEADING}\n")
    _, other, rest = after.partition("\n## ") if heading else ("", "", "")
    start = before.rstrip() + "\n\n" if before.strip() else ""
    io.write_text(page, f"{start}{HEADING}\n\n{table}" + (f"\n## {rest}" if other else ""))
