"""Write the table of metrics in docs/measurement.md from their declarations."""

from pathlib import Path

from backtracking.measurements.metrics import METRICS

PAGE = Path(__file__).parents[1] / "docs" / "measurement.md"
BEGIN, END = "<!-- metrics: written by `make docs` -->\n", "<!-- end of metrics -->\n"


def table() -> str:
    """Name, formula, unit, and the phases whose tables show it or compare arms on it."""
    lines = ["| name | formula | unit | shown in | compared in |", "|---|---|---|---|---|"]
    for metric in METRICS:
        phases = [", ".join(f"Phase {phase}" for phase in each) for each in (metric.shown, metric.compared)]
        cells = [f"`{metric.name}`", metric.formula, metric.unit, *phases]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(["", *lines, "", ""])


def render() -> str:
    """The page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
