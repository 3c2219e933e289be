"""hook_debug.json: what the hooks did to the rows of every arm, over all the starts that made them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from backtracking.model.ledger import Ledger

COUNTS = ("total_calls", "ablation_calls", "skipped_calls")


def counts_of_start(
    ledger: Ledger, generated: Mapping[str, int], resumed: Mapping[str, int]
) -> dict[str, Any]:
    """One start: its counts, whether they are what the schedule says for these completions, and the rows
    that were there (`rows_found`) and that are now."""
    return ledger.as_dict() | {
        "rows_generated": dict(generated),
        "rows_found": dict(resumed),
        "rows": {arm: resumed[arm] + generated[arm] for arm in resumed},
        **_verdict(ledger.differences()),
    }


def add_start(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of earlier starts with one more; arms that it generated anew lose what stood there.

    Rows of which no start has written its counts are a difference. `seq_len_distribution` is not kept by arm:
    it counts every call of every start.
    """
    rows_before = before.get("rows", before.get("rows_generated", {}))
    uncounted = [
        f"{arm}: {count - rows_before.get(arm, 0)} rows come from a start that wrote no counts"
        for arm, count in now["rows_found"].items()
        if count > rows_before.get(arm, 0)
    ]
    if "by_condition" not in before:
        first = {name: value for name, value in now.items() if name != "rows_found"}
        return first | _verdict([*now["differences"], *uncounted])
    anew = {arm for arm, rows in now["rows_generated"].items() if rows and not now["rows_found"][arm]}
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
    generated, rows_now = Counter(rows) + Counter(now["rows_generated"]), {**rows_before, **now["rows"]}
    differences = [line for line in before["differences"] if _arm_of(line) not in anew]
    differences += [*now["differences"], *uncounted]
    return {
        **{name: sum(counts[name] for counts in every_site) for name in COUNTS},
        "seq_len_distribution": {length: lengths[length] for length in sorted(lengths, key=int)},
        "by_layer": {layer: by_layer[layer] for layer in sorted(by_layer, key=int)},
        "by_condition": by_condition,
        "rows_generated": {arm: generated[arm] for arm in rows_now if generated[arm]},
        "rows": rows_now,
        **_verdict(differences),
    }


def _verdict(differences: Sequence[str]) -> dict[str, Any]:
    return {"matches_schedule": not differences, "differences": list(dict.fromkeys(differences))}


def _arm_of(label: str) -> str:
    """The arm that a ledger's label or a difference begins with; a draw may follow."""
    return re.split(r"[#: ]", label, maxsplit=1)[0]


def _sum_sites(
    one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    return {site: _sum_counts(one.get(site, {}), other.get(site, {})) for site in sorted({*one, *other})}


def _sum_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in COUNTS}
