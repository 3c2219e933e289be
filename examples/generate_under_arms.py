"""Does turning a block down, or forbidding the words, make for less backtracking, and at what cost?"""

import argparse

import backtracking as bt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled", help="hub id, folder, or bundled")
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()

    lm = bt.load(options.model)
    weaker = bt.scale("attn", lm.n_layers - 1, 0.5)
    rows = lm.generate(
        options.problems,
        arms=[bt.baseline, weaker, bt.random_like(weaker, draws=3), bt.suppress_triggers()],
        samples=options.samples,
    )
    print(rows)
    print(rows.accuracy().round(3).T.to_string())
    for arm in rows.arms[1:]:
        print(f"\n{arm} against the baseline")
        print(rows.compare(arm).round(3).to_string())


if __name__ == "__main__":
    main()
