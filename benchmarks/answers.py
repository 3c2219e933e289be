"""How often answers are judged wrongly: shapes written to mislead, and human solutions in many manners.

    python benchmarks/answers.py [--shapes FILE.tsv] [--solutions gsm8k_test.jsonl] [--show]

The shapes are lines of gold answer, `right` or `wrong`, and the text (⏎ stands for a line break). Without
`--shapes` all of benchmarks/data/answers*.tsv are read; docs/measurement.md says what each was used for. With
PYTHONPATH set to another version's `src`, the same tables are printed for that version.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

from backtracking.text.answers import extract_answer, grade

_ANNOTATION = re.compile(r"<<.*?>>")
_CALCULATION = re.compile(r"(?<![\w=])[($]*[\d.,]+[\d.,%$()/*+xX× -]*=\s*(\$?)<<[^>]*>>(\$?[\d.,/]*\d)")
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_UNSOLVED = re.compile(r"[=+*/]|\d\s*[-–−] ?\$?\d|(?:because|since|as) \$?[\d.,]+\W*$")
_CLOSE = "</think>"


def _latex(value: str) -> str:
    return value.replace(",", "{,}")


MANNERS: dict[str, Callable[[str, str], str]] = {
    "#### 18": lambda text, value: f"{text}\n#### {value}",
    "The answer is 18.": lambda text, value: f"{text}\nThe answer is {value}.",
    "**Final Answer:** 18": lambda text, value: f"{text}\n\n**Final Answer:** {value}",
    "\\boxed{18}": lambda text, value: f"{text}\n\n\\[ \\boxed{{{_latex(value)}}} \\]",
    "Answer: $18.": lambda text, value: f"{text}\nAnswer: ${value}.",
    "\\boxed{\\$18}": lambda text, value: f"{text}\nThe final answer is $\\boxed{{\\${_latex(value)}}}$.",
    "\\boxed{18 \\text{ units}}": lambda text, value: f"{text}\n\\boxed{{{value} \\text{{ units}}}}",
    "Final: 18": lambda text, value: f"{text}\nFinal: {value}",
    "So the final answer is **18**.": lambda text, value: f"{text}\nSo the final answer is **{value}**.",
    "behind </think>": lambda text, value: f"{text}\n{_CLOSE}\n\nThe total comes to {value}.",
}


def verdict(text: str, gold: str) -> bool | None:
    """Whether a text is right, by the package."""
    close = _CLOSE if _CLOSE in text else ""
    return grade(extract_answer(text, think_close=close).text, gold)


def shapes(path: Path, *, show: bool) -> None:
    """Both kinds of mistakes on shapes with known verdicts."""
    print(path.name)
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    for kind, mistaken in (("wrong", "graded right"), ("right", "missed")):
        chosen = [(gold, text.replace("⏎", "\n")) for gold, given, text in lines if given == kind]
        bad = [text for gold, text in chosen if (verdict(text, gold) is True) is not (kind == "right")]
        print(f"{len(chosen):>5} {kind} answers, {mistaken}: {len(bad)} ({len(bad) / len(chosen):.1%})")
        if show:
            print(*(f"      {text!r}" for text in bad), sep="\n")


def _said(line: str, value: str) -> list[tuple[str, str]]:
    """The last sentence of a line, with results in the place of calculations, where that names the value."""
    sentence = re.split(r"(?<=[.!?])\s", _ANNOTATION.sub("", _CALCULATION.sub(r"\1\2", line)).strip())[-1]
    names = value.replace(",", "") in _numbers(sentence) and not _UNSOLVED.search(sentence)
    return [(sentence, value)] if names else []


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _FIGURE.findall(text)}


def last_sentences(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What human solutions end in, and their answers."""
    return [pair for text, gold in rows for pair in _said(text.strip().splitlines()[-1], gold)]


def middle_sentences(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What human solutions say before, and the result of the only calculation in it."""
    lines = [line for text, _ in rows for line in text.strip().splitlines()[:-1]]
    results = [(line, re.findall(r"<<[^=]*=([^>]*)>>", line)) for line in lines]
    return [pair for line, values in results if len(values) == 1 for pair in _said(line, values[0])]


def sentences(rows: list[tuple[str, str]], *, show: bool) -> None:
    """How many sentences are read as their result, and how many as another number that they name."""
    for kind, choose in (("last", last_sentences), ("middle", middle_sentences)):
        for name, half in (("even", rows[::2]), ("odd", rows[1::2])):
            said = choose(half)
            missed = [text for text, value in said if verdict(text, value) is not True]
            others = [(t, number) for t, value in said for number in _numbers(t) - {value.replace(",", "")}]
            wrong = [text for text, number in others if verdict(text, number) is True]
            print(
                f"{kind} sentences of {name} rows, results only: {len(missed)} of {len(said)} missed",
                end="; ",
            )
            print(f"{len(wrong)} of {len(others)} other numbers taken for the answer")
            if show:
                print(*(f"      {text!r}" for text in missed + wrong), sep="\n")


def solutions(path: Path, *, show: bool) -> None:
    """Human solutions with their answer in many manners, and as prose that names it only in passing."""
    lines = [json.loads(line)["answer"].partition("####") for line in path.read_text("utf-8").splitlines()]
    rows = [(text, gold.strip()) for text, _, gold in lines]
    pairs = [(_ANNOTATION.sub("", text).strip(), gold) for text, gold in rows]
    prose: dict[str, Callable[[str, str], str]] = {"prose": lambda text, value: text}
    for name, manner in (MANNERS | prose).items():
        bad = [manner(text, gold) for text, gold in pairs if verdict(manner(text, gold), gold) is not True]
        print(
            f"{name:<32} {len(pairs) - len(bad):,} of {len(pairs):,} right ({1 - len(bad) / len(pairs):.2%})"
        )
        if show:
            print(*(f"      {text[-150:]!r}" for text in bad), sep="\n")
    sentences(rows, show=show)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", type=Path, nargs="*", help="all that ship, if not given")
    parser.add_argument("--solutions", type=Path, help="JSON lines with the solution under `answer`")
    parser.add_argument("--show", action="store_true", help="print the texts that were judged wrongly")
    arguments = parser.parse_args()
    for path in arguments.shapes or sorted((Path(__file__).parent / "data").glob("answers*.tsv")):
        shapes(path, show=arguments.show)
    if arguments.solutions:
        solutions(arguments.solutions, show=arguments.show)


if __name__ == "__main__":
    main()
