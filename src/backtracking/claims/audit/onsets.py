"""Checks of the onsets: which words count as one, and whether text without sampling has them."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1, phase2, readings
from backtracking.claims.audit.audited import AuditedRun, is_untouched
from backtracking.claims.audit.check import FAIL, PASS, WARN, Finding, graded, not_applicable, rule
from backtracking.claims.audit.completions import finite_numbers, first_few
from backtracking.claims.wording import percent, quoted
from backtracking.config.schema import DetectionConfig

_ARTICLES = "a all an his her its my one our that the there these this those to your"
_WORDS = "and as at but by can do for from had has have he how i if in is it let me no not now of on or out"
_MORE_WORDS = "so then they up was we were what when which who will with would you she be are him them"
COMMON_WORDS = frozenset(" ".join((_ARTICLES, _WORDS, _MORE_WORDS)).split())
MANY_COMMON = 0.2
"""Where more onsets than this begin with a common word, the target of every analysis is that word."""
WHOLE_PHRASES = "delta_triggers"
"""A column of scans that score whole phrases; earlier ones score the first token of a family."""
SAMPLED = 0.5
FEWEST_ONSETS = 5


@rule(
    bounds=f"Warns at any such family; fails where more than {MANY_COMMON:.0%} of the onsets begin so.",
    why="Where the first token of a phrase stands for it and is a common word, every use of the word is "
    "scored and banned: a ban on 'but' for the sake of 'but wait' is an intervention of its own.",
    what_to_do="Run the analyses again: they score and suppress whole phrases now. Of tables from elsewhere, "
    "leave out onsets whose phrase begins with a common word.",
)
def common_trigger_words(run: AuditedRun) -> Finding:
    """Strict triggers whose family of first tokens is a common word."""
    owner = run.untouched
    if owner.table(readings.IMPORTANCE, WHOLE_PHRASES) is not None:
        return Finding(PASS, "triggers are scored and suppressed as whole phrases", 0.0)
    if not owner.is_earlier and owner.evidence.table(readings.IMPORTANCE) is None:
        return not_applicable("no scan of this run scores triggers")
    families, onsets = _common_families(owner), _common_onsets(run)
    if families is None and onsets is None:
        return not_applicable("the tokens that begin a trigger are not in this run")
    return _of_common_words(families, onsets)


def _of_common_words(families: list[str] | None, onsets: tuple[float, str] | None) -> Finding:
    """By the families where they are known, and by how many onsets that is."""
    share, of_onsets = onsets or (0.0, "")
    details = [*(families or []), *([of_onsets] if share else [])]
    if not details or families == []:
        return Finding(PASS, "no strict trigger begins with a common word", 0.0)
    outcome = FAIL if share > MANY_COMMON else WARN
    return Finding(outcome, of_onsets if outcome == FAIL else details[0], share, tuple(details))


def _common_families(run: AuditedRun) -> list[str] | None:
    """Strict phrases with a common word among the tokens that stand for them."""
    families = run.evidence.data(phase1.FAMILIES)
    if not families:
        return None
    strict = {str(phrase).casefold() for phrase in _strict_triggers(run)}
    said = []
    for phrase, tokens in families.items():
        texts = [str(text) for text in tokens.values()] if isinstance(tokens, dict) else []
        common = [text for text in texts if is_common(text)]
        if common and phrase.casefold() in strict and not is_common(phrase):
            said.append(
                f"the family of {quoted(phrase)} holds {first_few([quoted(text) for text in common])}"
            )
    return said


def _strict_triggers(run: AuditedRun) -> Any:
    named = run.setting("detection.triggers_strict")
    return named if isinstance(named, list) else DetectionConfig().triggers_strict


def _common_onsets(run: AuditedRun) -> tuple[float, str] | None:
    """The share of strict onsets whose first token is a common word."""
    groups = [group for group in run.baselines if group.holds("onset_token_text", "strict")]
    texts = [
        rows.loc[rows["strict"] == 1, "onset_token_text"].dropna().astype(str)
        for rows in (group.rows for group in groups)
    ]
    beginnings = pd.concat(texts) if texts else pd.Series(dtype=object)
    if beginnings.empty:
        return None
    common = beginnings[beginnings.map(is_common)]
    words = [quoted(text) for text in common.value_counts().index]
    share = len(common) / len(beginnings)
    return (
        share,
        f"{percent(share)} of {len(beginnings):,} onsets begin with a common word: {first_few(words)}",
    )


def is_common(text: str) -> bool:
    """Whether a token, or a phrase, is nothing but a common word."""
    return text.strip().casefold() in COMMON_WORDS


@rule(
    bounds=f"Warns where that is so at more than {SAMPLED:.0%} of the onsets that were sampled again "
    "(onset-stability, which writes one greedy continuation of each prefix), or else that were read.",
    why="An onset that only sampling brings, where the likeliest token is another, is partly luck: "
    "what is found of it holds for text at this temperature, and greedy text may lack it.",
    what_to_do="Look at a greedy run (generation.do_sample: false) beside this one, lower "
    "generation.temperature, or say that the findings are about sampled text.",
)
def greedy_lacks_onsets(run: AuditedRun) -> Finding:
    """Onsets behind whose prefix greedy text has none, or at which something else was likelier."""
    if run.setting("generation.do_sample") is False or run.number("generation.temperature") == 0.0:
        return Finding(PASS, "the text is greedy", 0.0)
    if (lost := _lost_when_greedy(run.untouched)) is not None:
        return lost
    masses = [says for table in (run, run.phase1) if table is not None for says in _masses(table)]
    if len(masses) < FEWEST_ONSETS:
        return not_applicable("the model's probability of its onsets is not in this run's tables")
    unlikely = sum(mass < 0.5 for mass in masses)
    share = unlikely / len(masses)
    says = f"{percent(share)} of {len(masses):,} onsets: a trigger had less than even odds there"
    return graded(share, says, warn=SAMPLED)


def _lost_when_greedy(run: AuditedRun) -> Finding | None:
    """Of the onsets that were sampled again, those that greedy text from the same prefix lacks."""
    table = run.table(readings.STABILITY, "position_kind", "greedy_onset")
    at_onsets = None if table is None else table[table["position_kind"] == "onset"]
    if at_onsets is None or len(at_onsets) < FEWEST_ONSETS:
        return None
    share = 1 - float(at_onsets["greedy_onset"].astype(str).eq("True").mean())
    return graded(share, f"greedy text lacks {percent(share)} of {len(at_onsets):,} onsets", warn=SAMPLED)


def _masses(run: AuditedRun) -> Iterator[float]:
    """The untouched model's probability of a trigger at each onset that was read."""
    step = run.table(phase2.STEP, "onset_prob")
    if step is None:
        return
    at_onsets = step[step["position_kind"] == "onset"] if "position_kind" in step else step
    before = [name for name in ("family_prob_before", "other_families_prob_before") if name in at_onsets]
    if before:
        total = sum(finite_numbers(at_onsets, name).fillna(0.0) for name in before)
        keys = [name for name in ("example_id", "sample_id", "pred_pos") if name in at_onsets]
        yield from pd.Series(total)[~at_onsets.duplicated(keys)]
    elif "subset_name" in step:
        yield from finite_numbers(at_onsets[is_untouched(at_onsets)], "onset_prob").dropna()


CHECKS = (common_trigger_words, greedy_lacks_onsets)
