"""The table of fixed prefixes against plain recounts, on planted arms, and where there is little to count."""

import numpy as np
import pandas as pd
import pytest

from backtracking.figures.caption import NothingToShow
from backtracking.figures.prefixes import plot_fixed_prefixes
from backtracking.measurements import statistics
from backtracking.measurements.fixed_prefixes import ROW_COLUMNS, prefix_table

PREFIXES = 80


def rows(arm, injected, right, *, draw=None, problems=40, prefixes=PREFIXES, seed=0):
    """Completions behind every prefix, an onset coming at these rates."""
    generator = np.random.default_rng(
        [seed, len(arm), -1 if draw is None else draw][: 2 + (draw is not None)]
    )
    lines = []
    for k in range(prefixes):
        for kind, rate in (("injected", injected), ("right", right)):
            lines.append(
                {
                    "example_id": f"p{k % problems}", "sample_id": k // problems, "kind": kind, "arm": arm,
                    "draw": draw, "rewrite": "off_by_one", "step": "1 + 1 = 2", "changed": "3",
                    "onset_follows": bool(generator.random() < rate),
                    "is_correct": bool(generator.random() < 0.9), "finish_reason": "stop",
                    "completion_tokens": 20,
                }
            )  # fmt: skip
    return pd.DataFrame(lines, columns=ROW_COLUMNS).astype({"draw": "Int64"})


def share(part, kind, column="onset_follows"):
    wanted = [row[column] for row in part.to_dict("records") if row["kind"] == kind]
    return sum(wanted) / len(wanted)


def test_every_number_is_a_plain_count():
    base, arm = rows("baseline", 0.9, 0.1), rows("targeted", 0.5, 0.1)
    table = prefix_table(pd.concat([base, arm])).set_index("arm")
    for name, part in (("baseline", base), ("targeted", arm)):
        line = table.loc[name]
        assert line["onset_after_injected"] == pytest.approx(share(part, "injected"))
        assert line["onset_after_right"] == pytest.approx(share(part, "right"))
        assert line["gap"] == pytest.approx(share(part, "injected") - share(part, "right"))
        assert line["caught_rate"] == pytest.approx(share(part, "injected", "is_correct"))
        assert line["accuracy_right"] == pytest.approx(share(part, "right", "is_correct"))
        assert (line["prefixes"], line["problems"], line["total"]) == (PREFIXES, 40, PREFIXES)
    gaps = [share(part, "injected") - share(part, "right") for part in (arm, base)]
    assert table.loc["targeted", "gap_diff"] == pytest.approx(gaps[0] - gaps[1])
    assert table.loc["targeted", "share_removed"] == pytest.approx(1 - gaps[0] / gaps[1])


def naive_shares(arm, base, draws=4000):
    """Shares removed in studies whose problems are drawn again, in plain Python."""
    generator = np.random.default_rng(0)

    def gaps(part):
        signed = part["onset_follows"].astype(int) * np.where(part["kind"] == "injected", 1, -1)
        return signed.groupby(part["example_id"]).sum().to_dict()

    ours, theirs = gaps(arm), gaps(base)
    names = sorted(ours)
    found = []
    for _ in range(draws):
        drawn = generator.choice(names, len(names))
        found.append(1 - sum(ours[k] for k in drawn) / sum(theirs[k] for k in drawn))
    return np.quantile(found, [0.025, 0.975])


def test_the_interval_of_the_share_agrees_with_problems_drawn_again():
    base, arm = rows("baseline", 0.9, 0.1), rows("targeted", 0.5, 0.1)
    line = prefix_table(pd.concat([base, arm])).set_index("arm").loc["targeted"]
    low, high = naive_shares(arm, base)
    assert line["share_removed_low"] == pytest.approx(low, abs=0.04)
    assert line["share_removed_high"] == pytest.approx(high, abs=0.04)


@pytest.mark.parametrize(("kept", "truth"), [(0.95, 0.0), (0.5, 0.4945), (0.04, 1.0)])
def test_the_interval_of_the_share_covers(kept, truth):
    generator = np.random.default_rng(1)
    sizes = np.ones(40)
    covered = []
    for _ in range(400):
        gaps = [generator.binomial(1, wrong, 40) - generator.binomial(1, 0.04, 40) for wrong in (kept, 0.95)]
        found = statistics.removed_share(*gaps, sizes)
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= 0.92


def test_arms_that_only_differ_in_errors_remove_nothing():
    """Both meet the same errors here, however many they would make themselves."""
    table = prefix_table(pd.concat([rows("baseline", 0.9, 0.1), rows("careful", 0.9, 0.1)])).set_index("arm")
    line = table.loc["careful"]
    assert line["share_removed_low"] < 0 < line["share_removed_high"]
    assert line["gap_diff_p_holm"] > 0.05


def test_a_random_arm_is_its_draws_and_their_mean():
    parts = [rows("baseline", 0.9, 0.1)]
    parts += [rows("random", kept, 0.1, draw=draw) for draw, kept in enumerate((0.9, 0.3, 0.6))]
    table = prefix_table(pd.concat(parts))
    random = table[table["arm"] == "random"]
    assert random["draw"].isna().tolist() == [True, False, False, False]
    pooled, *draws = random["share_removed"]
    assert pooled == pytest.approx(np.mean(draws))
    assert draws[1] > 0.5 > draws[0]
    assert random["gap_diff_p_holm"].notna().tolist() == [True, False, False, False]
    assert random["total"].tolist() == [3 * PREFIXES, *[PREFIXES] * 3]


def test_draws_that_share_the_prefixes_out_stand_as_one_line():
    base = rows("baseline", 0.9, 0.1)
    dealt = rows("random", 0.5, 0.1)
    dealt["draw"] = (dealt.index // 2 % 4).astype("Int64")
    table = prefix_table(pd.concat([base, dealt]))
    assert table["arm"].tolist() == ["baseline", "random"]


def test_one_problem_has_no_interval_and_no_gap_no_share():
    one = prefix_table(
        pd.concat([rows("baseline", 1.0, 0.0, problems=1), rows("arm", 0.5, 0.0, problems=1)])
    ).set_index("arm")
    assert np.isnan(one.loc["arm", "share_removed_low"])
    silent = prefix_table(pd.concat([rows("baseline", 0.0, 0.0), rows("arm", 0.0, 0.0)])).set_index("arm")
    assert np.isnan(silent.loc["arm", "share_removed"])
    unclear = prefix_table(pd.concat([rows("baseline", 0.1, 0.1), rows("arm", 0.1, 0.1)])).set_index("arm")
    assert np.isnan(unclear.loc["arm", "share_removed_low"])


def test_without_any_prefix_there_is_an_empty_table_and_a_figure():
    table = prefix_table(rows("baseline", 0.9, 0.1).iloc[:0])
    assert table.empty
    with pytest.raises(NothingToShow, match="no right baseline completion"):
        plot_fixed_prefixes(table)
    with pytest.raises(NothingToShow, match="the baseline is the only arm"):
        plot_fixed_prefixes(prefix_table(rows("baseline", 0.9, 0.1)))
    plot_fixed_prefixes(prefix_table(pd.concat([rows("baseline", 0.9, 0.1), rows("arm", 0.4, 0.1)])))


def test_cut_rows_are_counted():
    cut = rows("arm", 0.0, 0.0).assign(finish_reason="length")
    table = prefix_table(pd.concat([rows("baseline", 0.9, 0.1), cut])).set_index("arm")
    assert table.loc["arm", "truncation_rate"] == 1.0
