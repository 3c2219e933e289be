"""hook_debug.json: what the hooks did to the rows of every arm, over all the starts that made them."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from backtracking.model.ledger import Ledger

COUNTS = ("total_calls", "ablation_calls", "skipped_calls")


def hook_debug(ledger: Ledger, generated: Mapping[str, int]) -> dict[str, Any]:
    """One start: its counts, and whether they are what the schedule says for the rows generated."""
    differences = ledger.differences()
    return ledger.as_dict() | {
        "rows_generated": dict(generated),
        "matches_schedule": not differences,
        "differences": differences,
    }


def add_start(before: Mapping[str, Any], now: Mapping[str, Any], resumed: Collection[str]) -> dict[str, Any]:
    """The counts of earlier starts with one more; arms that it generated anew lose what stood there.

    `seq_len_distribution` is not kept by arm: it counts every call of every start.
    """
    if "by_condition" not in before:
        return dict(now)
    anew = {arm for arm, rows in now["rows_generated"].items() if rows and arm not in resumed}
    kept = {label: sites for label, sites in before["by_condition"].items() if _arm_of(label) not in anew}
    rows = {arm: count for arm, count in before["rows_generated"].items() if arm not in anew}
    by_condition = {
        label: _sum_sites(kept.get(label, {}), now["by_condition"].get(label, {}))
        for label in sorted({*kept, *now["by_condition"]})
    }
    by_layer: dict[str, dict[str, dict[str, int]]] = {}
    for sites in by_condition.values():
        for site, counts in sites.items():
            component, _, layer = site.rpartition("_")
            of_layer = by_layer.setdefault(layer, {})
            of_layer[component] = _sum_counts(of_layer.get(component, {}), counts)
    every_site = [counts for sites in by_condition.values() for counts in sites.values()]
    lengths = Counter(before["seq_len_distribution"]) + Counter(now["seq_len_distribution"])
    differences = [line for line in before["differences"] if _arm_of(line.split()[0]) not in anew]
    differences += now["differences"]
    return {
        **{name: sum(counts[name] for counts in every_site) for name in COUNTS},
        "seq_len_distribution": {length: lengths[length] for length in sorted(lengths, key=int)},
        "by_layer": {layer: by_layer[layer] for layer in sorted(by_layer, key=int)},
        "by_condition": by_condition,
        "rows_generated": dict(Counter(rows) + Counter(now["rows_generated"])),
        "matches_schedule": not differences,
        "differences": differences,
    }


def _arm_of(label: str) -> str:
    """The arm of a ledger's label, which may end in the draw."""
    return label.partition("#")[0]


def _sum_sites(
    one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    return {site: _sum_counts(one.get(site, {}), other.get(site, {})) for site in sorted({*one, *other})}


def _sum_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in COUNTS}
