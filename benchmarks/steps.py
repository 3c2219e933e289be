"""How often the arithmetic checker is wrong, on worked solutions that people wrote.

    python benchmarks/steps.py gsm8k_test.jsonl

Human solutions are nearly all right: what is called wrong is printed, to be looked at. Then the result
of every right step is raised by one, to see whether that is noticed.
"""

import argparse
import json
import re
from pathlib import Path

from backtracking.text.arithmetic import Step, find_steps

_ANNOTATION = re.compile(r"<<.*?>>")


def notices_change(text: str, step: Step) -> bool:
    """Whether a step is called wrong once its result is one more."""
    start, end = step.result
    changed = text[:start] + str(int(text[start:end]) + 1) + text[end:]
    return any(not found.correct for found in find_steps(changed) if found.start == step.start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("solutions", type=Path, help="JSON lines with the solution under `answer`")
    solutions = parser.parse_args().solutions.read_text(encoding="utf-8").splitlines()
    texts = [_ANNOTATION.sub("", json.loads(line)["answer"]) for line in solutions]
    found = [(text, step) for text in texts for step in find_steps(text)]
    wrong = [text[step.start : step.end] for text, step in found if not step.correct]
    print(f"{len(texts):,} solutions, {len(found):,} steps, {len(wrong)} called wrong:", *wrong, sep="\n  ")
    plain = [(text, step) for text, step in found if step.correct and text[slice(*step.result)].isdigit()]
    last = [(text, step) for text, step in plain if step.result > step.operands[-1]]
    noticed = sum(notices_change(text, step) for text, step in last)
    print(f"{noticed:,} of {len(last):,} results noticed when raised by one")


if __name__ == "__main__":
    main()
