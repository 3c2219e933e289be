"""Study problems of your own: mappings with a question and an answer, or any file of them."""

import argparse
import random

import backtracking as bt


def stories(count: int, seed: int) -> list[dict[str, str]]:
    """Short word problems in the manner of those that the bundled reasoner knows."""
    draw = random.Random(seed)
    triples = [(draw.randint(5, 9), draw.randint(2, 5), draw.randint(2, 4)) for _ in range(count)]
    story = "Tom has {} pens. He buys {} more. He gives {} pens to Mia. How many pens are left for Tom?"
    return [{"question": story.format(*each), "answer": f"{each[0] + each[1] - each[2]}"} for each in triples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", help="JSONL, JSON, CSV or Parquet with question and answer, instead")
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()

    source = options.file or stories(options.problems, seed=0)
    problems = bt.problems(source, options.problems)
    rows = bt.load("bundled").generate(problems, arms=[bt.baseline], samples=options.samples)
    frame = rows.to_pandas()
    print(rows.accuracy().round(3).T.to_string())
    wrong = frame[~frame["is_correct"].fillna(False)].groupby("example_id").size()
    print("most often wrong:", wrong.sort_values(ascending=False).head(3).to_dict())


if __name__ == "__main__":
    main()
