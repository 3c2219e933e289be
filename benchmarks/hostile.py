"""Text that is made to be slow to read: does the time grow no faster than the text?

    python benchmarks/hostile.py [--size 25000] [--repeats 3]

Prints, per reader and kind of text, processor seconds for one length and for four times that length, and
their ratio: about 4 is linear, about 16 quadratic. Ends with 1 when some ratio is above 8.
"""

import argparse
import time
from collections.abc import Callable, Iterator

from backtracking.config.schema import DetectionConfig
from backtracking.text.answers import extract_answer, grade
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets import Detector

LINEAR = 8.0
TOO_SHORT_TO_TELL = 0.02
ANSWERS = ("{", "\\boxed{", "$", "1,", "= ", "Final: ", "\\frac{", "answer is ")
STEPS = ("1 + ", "(", "1 a ", "= ", "1=", "(1+", "1+1=", "1/7*", "(9^99*9^99)^99=1 ")
ONSETS = ("wait ", "but ", "-", "let me ", "wait,", "maybe i ", "is that ", ". ")


def graded(text: str) -> bool | None:
    """What the reading of an answer costs, its grading included."""
    return grade(extract_answer(text).text, "18")


def readers() -> Iterator[tuple[str, Callable[[str], object], tuple[str, ...]]]:
    """Each reader with the pieces that its texts are made of."""
    detector = Detector(DetectionConfig())
    yield "answers", graded, ANSWERS
    yield "steps", find_steps, STEPS
    yield "onsets", detector.find, ONSETS


def seconds(read: Callable[[str], object], text: str, repeats: int) -> float:
    """The fastest of some readings."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        read(text)
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=25_000, help="characters of the shorter text")
    parser.add_argument("--repeats", type=int, default=3, help="readings, of which the fastest counts")
    asked = parser.parse_args()
    worst = 0.0
    print(f"{'reader':<9}{'piece':<20}{'short, s':>10}{'long, s':>10}{'ratio':>8}")
    for name, read, pieces in readers():
        read("1 + 1 = 2. Wait, \\boxed{2}")
        for piece in pieces:
            short = piece * (asked.size // len(piece))
            times = [seconds(read, text, asked.repeats) for text in (short, 4 * short)]
            ratio = times[1] / max(times[0], TOO_SHORT_TO_TELL / 4)
            worst = max(worst, ratio if times[1] > TOO_SHORT_TO_TELL else 0.0)
            print(f"{name:<9}{piece!r:<20}{times[0]:>10.3f}{times[1]:>10.3f}{ratio:>8.1f}")
    raise SystemExit(int(worst > LINEAR))


if __name__ == "__main__":
    main()
