"""The choice of an arm as the report tells it."""

import numpy as np

from backtracking.artifacts import phase2 as files
from backtracking.claims.evidence import Evidence
from backtracking.reports.choice import SHOWN_ARMS, write_choice
from backtracking.reports.page import Page
from backtracking.reports.render import as_markdown
from tests.report.tables import MAIN, run_paths, sweep_table


def told(folder, arms):
    names = ["baseline", *(f"arm_{index}" for index in range(arms))]
    table = sweep_table(dict.fromkeys(names, (0.5, 0.8)), problems=8, samples=2)
    searched = table.assign(front_probability=np.linspace(1.0, 0.0, len(table)))
    confirmed = table[table["subset_name"] == "baseline"].assign(role="baseline")
    paths = run_paths(folder, tradeoff_search=searched, confirm_results=confirmed)
    page = Page("Choice", evidence=Evidence(paths), path=paths.root / "reports" / "x.md")
    write_choice(page, page.rows_by_arm(MAIN))
    return as_markdown(page)


def test_every_arm_that_was_tried_is_listed_or_named_as_not_listed(tmp_path):
    written = told(tmp_path, SHOWN_ARMS + 2)
    assert f"{SHOWN_ARMS + 2} arms were tried beside the baseline" in written
    table, _, rest = written.partition("Not listed, each on the front with a probability of ")
    assert table.count("| `arm_") == SHOWN_ARMS - 1
    assert all(f"`arm_{index}`" in rest for index in range(SHOWN_ARMS - 1, SHOWN_ARMS + 2))
    assert f"`{files.CHOICE.file}`" in rest


def test_where_all_arms_are_listed_none_is_called_missing(tmp_path):
    written = told(tmp_path, 1)
    assert "1 arm was tried beside the baseline" in written and "Not listed" not in written
