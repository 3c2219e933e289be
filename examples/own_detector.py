"""Count something else: phrases of your own, and a function that finds sums that are written twice."""

import argparse
import re

import backtracking as bt

SUM = re.compile(r"\d+ [+×-] \d+(?= =)")


def second_attempts(text: str) -> list[tuple[int, int]]:
    """Where a sum is begun that stood in the text before."""
    seen: set[str] = set()
    spans = []
    for match in SUM.finditer(text):
        if match.group() in seen:
            spans.append(match.span())
        seen.add(match.group())
    return spans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()

    rows = bt.load("bundled").generate(options.problems, samples=options.samples)
    detectors = {"the config's": {}, "one phrase": ["wait"], "second attempts": second_attempts}
    for name, detector in detectors.items():
        found = rows.detect(detector)
        rate = found.rates().loc["baseline", ["backtracking_rate", "onsets_per_1k_tokens"]]
        print(f"{name}: {rate.iloc[0]:.0%} of rows, {rate.iloc[1]:.1f} per 1,000 tokens")
        print("  most common:", found.onsets()["phrase"].value_counts().head(3).to_dict())


if __name__ == "__main__":
    main()
