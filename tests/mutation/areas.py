"""Which modules are changed, and the tests nearest to them, which ought to notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """Modules of the package, and tests that take little time."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


AREAS = {
    "sampling": Area(("engine/sampling.py",), ("engine/test_sampling.py", "engine/test_engine_refusals.py")),
    "schedule": Area(
        ("model/schedule.py", "engine/rows.py", "engine/pages.py"),
        (
            "engine/test_schedule.py",
            "engine/test_pages.py",
            "engine/test_engine_edges.py",
            "engine/test_engine_refusals.py",
        ),
    ),
    "ledger": Area(("model/ledger.py",), ("engine/test_ledger.py",)),
    "statistics": Area(
        ("measurements/statistics.py", "measurements/bounded.py", "measurements/halves.py"),
        (
            "measurement/test_intervals_by_hand.py",
            "measurement/test_by_hand.py",
            "measurement/test_statistics.py",
            "measurement/test_bounded.py",
            "measurement/test_halves.py",
        ),
    ),
    "stopping": Area(
        ("measurements/looks.py", "sweeps/waves.py"),
        (
            "measurement/test_looks.py",
            "phase2/test_waves_by_hand.py",
            "phase2/test_waves.py",
        ),
    ),
    "choice": Area(
        ("measurements/tradeoff.py",),
        (
            "measurement/test_arms_by_hand.py",
            "measurement/test_by_hand.py",
            "phase2/test_winning.py",
            "measurement/test_outcome.py",
        ),
    ),
    "verdicts": Area(("claims/*.py",), ("claims", "audit")),
    "events": Area(
        ("measurements/events.py", "measurements/outcome.py"),
        (
            "measurement/test_events_by_hand.py",
            "measurement/test_by_hand.py",
            "measurement/test_events.py",
            "measurement/test_outcome.py",
            "measurement/test_cut_answers.py",
        ),
    ),
    "onsets": Area(
        ("text/onsets/detect.py", "text/onsets/rules.py", "text/tokenization.py"),
        (
            "text/test_onsets_by_hand.py",
            "text/test_patterns_by_hand.py",
            "text/test_detect.py",
            "text/test_rules.py",
            "text/test_tokenization.py",
        ),
    ),
    "answers": Area(
        (
            "text/answers/extract.py",
            "text/numbers/amounts.py",
            "text/numbers/quantities.py",
            "text/answers/grading.py",
        ),
        ("text/test_answers.py", "text/test_quantities.py"),
    ),
    "arithmetic": Area(
        ("text/arithmetic/judge.py", "text/arithmetic/equalities.py", "text/arithmetic/equality_*.py"),
        ("text/test_arithmetic_by_hand.py", "text/test_arithmetic.py"),
    ),
    "resuming": Area(
        (
            "run/rowfile.py",
            "run/unfinished.py",
            "run/rowindex.py",
            "run/io.py",
            "run/shards.py",
            "run/cells.py",
            "engine/taking_up.py",
        ),
        (
            "foundation/test_rowfile.py",
            "foundation/test_unfinished_by_hand.py",
            "foundation/test_io.py",
            "foundation/test_shards.py",
            "foundation/test_edited_rows.py",
            "foundation/test_cells.py",
        ),
    ),
}
"""By name."""
