"""Which blocks write the onset? Remove each alone, then turn the strongest down while generating."""

import argparse

import backtracking as bt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled", help="hub id, folder, or bundled")
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--figure", help="where to save the scan as a picture")
    options = parser.parse_args()

    lm = bt.load(options.model)
    rows = lm.generate(options.problems, samples=options.samples)
    scan = lm.scan(rows, topk_layers_for_generation=2)
    print(scan)
    shown = ["component", "layer", "delta_trigger_log_odds", "delta_word", "kl_control", "selectivity"]
    print(scan.table[shown].sort_values("delta_trigger_log_odds").round(3).to_string(index=False))
    print("onset readable from layer:", lm.lens(rows).first_separations)
    if options.figure:
        scan.plot().savefig(options.figure)

    arm = scan.arm(0.5)
    both = lm.generate(rows.problems, arms=[bt.baseline, arm], samples=options.samples)
    print(f"\n{arm.name} against the baseline")
    print(both.compare(arm.name).round(3).to_string())


if __name__ == "__main__":
    main()
