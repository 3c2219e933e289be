"""What the reports say of the mechanism beside its tables: stable onsets, and few pairs."""

from backtracking.artifacts import readings
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import rate, records
from backtracking.measurements.injections import FEWEST_PAIRS
from backtracking.reports.document import Document


def say_how_stable(document: Document, evidence: Evidence) -> None:
    """How often onsets come again when the same prefix is sampled again."""
    table = evidence.table(readings.STABILITY_SUMMARY)
    if table is None:
        document.say(evidence.absence(readings.STABILITY_SUMMARY))
        return
    by_kind = {str(row["position_kind"]): row for row in records(table)}
    if (onsets := by_kind.get("onset")) is None:
        return
    said = (
        "Sampled again from just before it, an onset comes again in "
        f"{rate(onsets, 'share', n='continuations')} of continuations, and "
        f"{rate(onsets, 'stable_share', n='positions')} of onsets are stable"
    )
    if (controls := by_kind.get("matched_row")) is not None:
        said += (
            f"; at matched places without one an onset comes in {rate(controls, 'share', n='continuations')}"
        )
    document.say(f"{said} (`{readings.STABILITY.file}`).")


def say_few_pairs(document: Document, evidence: Evidence) -> None:
    """That patching rests on too few pairs for a finding, where it does."""
    patching = evidence.table(readings.PATCHING)
    if patching is None or "n_pairs" not in patching or patching.empty:
        return
    if (pairs := int(patching["n_pairs"].max())) < FEWEST_PAIRS:
        document.say(
            f"Swapping activations between right and wrong prefixes rests on n = {pairs} "
            f"pair{'' if pairs == 1 else 's'}; with fewer than {FEWEST_PAIRS} it is no finding."
        )
