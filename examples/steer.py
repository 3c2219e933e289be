"""Find the direction that leads to an onset on some problems, and steer along it on others."""

import argparse

import backtracking as bt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled", help="hub id, folder, or bundled")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--strengths", type=float, nargs="+", default=[-0.5, 0.5])
    options = parser.parse_args()

    lm = bt.load(options.model)
    problems = bt.problems(options.problems)
    half = len(problems) // 2
    direction = lm.direction(lm.generate(problems[:half], samples=options.samples))
    print(direction)

    arms = [bt.steer(direction, strength) for strength in options.strengths]
    rows = lm.generate(
        problems[half:], arms=[bt.baseline, *arms, bt.project(direction)], samples=options.samples
    )
    shown = ["backtracking_rate", "backtracking_rate_low", "backtracking_rate_high", "accuracy"]
    print(rows.rates()[shown].round(3).to_string())


if __name__ == "__main__":
    main()
