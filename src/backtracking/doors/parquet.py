"""A run as Parquet: its completions, partitioned by prompt format and condition, and its tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow.parquet import write_table

from backtracking.artifacts.registry import TABLES
from backtracking.claims.evidence import Evidence
from backtracking.doors.card import about_columns, about_run
from backtracking.doors.completions import OnCounted, write_arms
from backtracking.doors.folder import new_folder
from backtracking.explore.study import ArmFile, MeasuredRun
from backtracking.run.io import write_text

_LOADED = """\
```python
import duckdb, polars

duckdb.sql("SELECT condition, avg(is_correct::int) FROM 'completions/**/*.parquet' GROUP BY condition")
polars.scan_parquet("completions/**/*.parquet").filter(polars.col("condition") == "baseline").collect()
```"""


def export_parquet(study: MeasuredRun, arms: Sequence[ArmFile], out: Path, told: OnCounted) -> int:
    """Write the rows of some arms, and all tables of the run; how many rows there are."""
    with new_folder(out) as folder:
        rows = write_arms(study, arms, lambda arm: folder / "completions" / _partition(arm), told)
        names = _write_tables(study, folder / "tables")
        write_text(folder / "README.md", _card(study, names))
    return rows


def _partition(arm: ArmFile) -> Path:
    return Path(f"variant={arm.variant}") / f"condition={arm.name}" / "rows.parquet"


def _write_tables(study: MeasuredRun, folder: Path) -> list[str]:
    """Every table of the run that holds something, under its own name."""
    evidence, names = Evidence(study.paths), []
    for table in TABLES:
        rows = evidence.table(table)
        if rows is not None:
            folder.mkdir(exist_ok=True)
            write_table(arrow(rows), folder / f"{table.stem}.parquet", compression="zstd")
            names.append(table.stem)
    return names


def arrow(table: pd.DataFrame) -> pa.Table:
    """A table with one type per column; where values of several kinds meet, their text."""
    typed = table.convert_dtypes()
    for name in typed:
        if pd.api.types.infer_dtype(typed[name], skipna=True).startswith("mixed"):
            typed[name] = typed[name].astype("string")
    return pa.Table.from_pandas(typed, preserve_index=False)


def _card(study: MeasuredRun, tables: Sequence[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in tables) or "none"
    return "\n\n".join(
        [
            f"# Run {study.name}, as Parquet",
            about_run(study),
            "`completions/` holds a row per completion, partitioned by prompt format and condition.",
            _LOADED,
            about_columns(),
            f"`tables/` holds the run's tables: {listed}.",
        ]
    ) + "\n"  # fmt: skip
