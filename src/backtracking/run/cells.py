"""Cells of tables that a spreadsheet would run: text of models and problems may begin like a formula."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = r"'*[=+\-@\t\r\n＝＋－＠](?s:.)"
"""How a formula begins; with apostrophes ahead of it, so that the mark below can be taken off again."""
_FIRST = tuple("'=+-@\t\r\n＝＋－＠")
"""What the text of such a cell begins with: few do, and only those are looked at closely."""
NUMBER = r"[+-]?\d[\d,.]*(?:[eE][+-]?\d+)?%?\Z"


def harmless(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table with an apostrophe before every cell that a spreadsheet would take for a formula."""
    return _changed(table, _is_formula, lambda texts: "'" + texts)


def harmless_cell(cell: Any) -> Any:
    """One cell, as `harmless` leaves those of a table."""
    is_formula = isinstance(cell, str) and re.match(FORMULA, cell) and not re.match(NUMBER, cell)
    return f"'{cell}" if is_formula else cell


def original(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table as it was before its cells were made harmless."""
    return _changed(table, _is_marked, lambda texts: texts.str[1:])


def _is_formula(texts: "pd.Series") -> "pd.Series":
    return texts.str.match(FORMULA) & ~texts.str.match(NUMBER)


def _is_marked(texts: "pd.Series") -> "pd.Series":
    return texts.str.startswith("'") & _is_formula(texts.str[1:])


def _changed(
    table: "pd.DataFrame",
    wanted: "Callable[[pd.Series], pd.Series]",
    change: "Callable[[pd.Series], pd.Series]",
) -> "pd.DataFrame":
    """The table with some texts changed; itself where there are none."""
    import numpy as np
    import pandas as pd

    new = {}
    for name, column in table.items():
        if column.dtype != object and not str(column.dtype).startswith("str"):
            continue
        cells = column.to_numpy(dtype=object, copy=True)
        places = np.flatnonzero([isinstance(cell, str) and cell.startswith(_FIRST) for cell in cells])
        if not len(places):
            continue
        texts = pd.Series(cells[places], dtype=str)
        picked = wanted(texts).to_numpy(dtype=bool)
        if picked.any():
            cells[places[picked]] = change(texts[picked])
            new[str(name)] = cells
    return table.assign(**new) if new else table
