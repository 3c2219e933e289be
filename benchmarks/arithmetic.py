"""How often the arithmetic checker is wrong on text in the manner of reasoning models.

    python benchmarks/arithmetic.py [--traces 2000] [--statements FILE.tsv] [--show]

Two tables: traces written here, with LaTeX, inline mathematics, chains and asides, where one right result in
eight is replaced by a wrong one; and statements written by hand, one per line behind `right` or `wrong`. With
PYTHONPATH set to another version's `src`, the same tables are printed for that version.
"""

import argparse
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from backtracking.text.arithmetic import find_steps

_PLANTED_SHARE = 1 / 8


@dataclass
class Text:
    """A text with the spans of its planted errors."""

    text: str
    planted: list[tuple[int, int]]


class Writer:
    """Writes statements; every result goes through `result`, which may spoil it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.spoiled = False

    def number(self, low: int = 2, high: int = 99) -> int:
        return self.rng.randint(low, high)

    def result(self, value: Fraction | int) -> str:
        """The value as written, now and then a wrong one."""
        value = Fraction(value)
        if not self.spoiled and self.rng.random() < _PLANTED_SHARE:
            self.spoiled = True
            value = self._wrong(value)
        return str(value) if value.denominator == 1 else f"{float(value):g}"

    def _wrong(self, value: Fraction) -> Fraction:
        swapped = "".join(reversed(str(abs(value.numerator))))
        choices = [value + 1, value - 1, value + 10, value * 10, Fraction(int(swapped))]
        return self.rng.choice([choice for choice in choices if choice != value])


def _plain(w: Writer) -> str:
    a, b = w.number(), w.number()
    name, value = w.rng.choice([("+", a + b), ("-", a - b), ("*", a * b), ("×", a * b)])
    return f"So {a} {name} {b} = {w.result(value)}."


def _display(w: Writer) -> str:
    a, b = w.number(), w.number()
    name, value = w.rng.choice([("\\times", a * b), ("\\cdot", a * b), ("+", a + b)])
    return f"That gives\n\\[\n{a} {name} {b} = {w.result(value)}\n\\]"


def _inline(w: Writer) -> str:
    a, b, c = w.number(), w.number(), w.number()
    return f"Now \\( {a} + {b} = {w.result(a + b)} \\) and \\( {c} - {b} = {w.result(c - b)} \\)."


def _dollars(w: Writer) -> str:
    a, b = w.number(), w.number()
    return f"we have ${a} \\cdot {b} = {w.result(a * b)}$, so far so good."


def _fraction(w: Writer) -> str:
    b, q, c = w.number(2, 12), w.number(2, 20), w.number(2, 9)
    return f"Hmm, $\\frac{{{b * q} + {b * c}}}{{{b}}} = {w.result(q + c)}$, okay."


def _nested(w: Writer) -> str:
    a, b, c = w.number(2, 12), w.number(2, 12), w.number(2, 12)
    return f"\\left({a} + {b}\\right) \\times {c} = {w.result((a + b) * c)}."


def _chain(w: Writer) -> str:
    a, tens, ones = w.number(2, 9), 10 * w.number(1, 9), w.number(1, 9)
    parts = f"{a} * {tens} + {a} * {ones} = {a * tens} + {a * ones}"
    return f"{a} * {tens + ones} = {parts} = {w.result(a * (tens + ones))}."


def _units(w: Writer) -> str:
    a, b = w.number(2, 20), w.number(2, 20)
    return f"Each box holds {b}, so {a} boxes * {b} apples = {w.result(a * b)} apples."


def _money(w: Writer) -> str:
    a, b = w.number(2, 20), Fraction(w.number(5, 95) * 5, 100)
    return f"He pays {a} \\times \\${float(b):.2f} = \\${w.result(a * b)} for them."


def _power(w: Writer) -> str:
    a, n = w.number(2, 9), w.number(2, 4)
    return f"Wait, {a}^{{{n}}} = {w.result(a**n)}, right."


def _substitution(w: Writer) -> str:
    a, b, x = w.number(2, 9), w.number(2, 30), w.number(2, 12)
    return f"If x = {x}, then {a}x + {b} = {a} \\cdot {x} + {b} = {w.result(a * x + b)}."


def _remainder(w: Writer) -> str:
    b, q = w.number(3, 12), w.number(2, 20)
    r = w.rng.randint(1, b - 1)
    ends = [
        f"with a remainder of {r}",
        f"\\) with a remainder \\( {r}",
        f"remainder {r}",
        f"with {r} left over",
    ]
    return f"\\( {b * q + r} \\div {b} = {q} {w.rng.choice(ends)}."


def _unknowns(w: Writer) -> str:
    a, b, c, d = (w.number() for _ in range(4))
    texts = [
        f"If p - {a} = {b} and q - {c} = {d}, then we can go on.",
        f"So {a}x + {b} = {c}, that is {a}x = {c} - {b}.",
        f"Since 1/{'abn'[a % 3]} + 1/{b} = 1/{c}, we multiply.",
        f"Let n = {a}k + {b} = {c}m + {d}.",
        f"x_1 + {a} = {b} and x_{{2}} - {c} = {d}",
        f"we get {a}y - {b} = {c}y + {d}.",
    ]
    return w.rng.choice(texts)


def _rounded(w: Writer) -> str:
    a, b = w.number(10, 99), w.rng.choice([3, 7, 9, 11])
    digits = w.rng.randint(2, 4)
    return f"{a}/{b} ≈ {a / b:.{digits}f}, and {a} / {b} = {a / b:.{digits}f}..."


def _other_values(w: Writer) -> str:
    a, b = w.number(), w.number()
    texts = [
        f"So {a} * {b} ≡ {a * b % 7} (mod 7).",
        f"{a}\\sqrt{{{b}}} + 3\\sqrt{{{b}}} = {a + 3}\\sqrt{{{b}}}",
        f"f({a}) + {b} = 7",
        f"the area is {a} \\cdot {b}\\pi = {a * b}\\pi",
        f"1 + 2 + ... + {a} = {a * (a + 1) // 2}",
        f"Is {a} + {b} = {a + b + 1}? No.",
        f"{a}! + {b} = 3 + {b}",
        f"{a * 7 + 3} days = {a} weeks + 3 days",
    ]
    return w.rng.choice(texts)


KINDS: tuple[Callable[[Writer], str], ...] = (
    _plain,
    _display,
    _inline,
    _dollars,
    _fraction,
    _nested,
    _chain,
    _units,
    _money,
    _power,
    _substitution,
    _remainder,
    _unknowns,
    _rounded,
    _other_values,
)


def write_trace(rng: random.Random) -> Text:
    """A dozen statements one after the other."""
    text, planted = "Okay, let me think about this.", []
    for _ in range(12):
        writer = Writer(rng)
        statement = rng.choice(KINDS)(writer)
        text += rng.choice(["\n\n", " ", "\n"])
        if writer.spoiled:
            planted.append((len(text), len(text) + len(statement)))
        text += statement
    return Text(text, planted)


def measure(texts: Iterable[Text], *, show: bool) -> None:
    """How many of the steps called wrong hold a planted error, and how many planted errors are found."""
    steps = called = false = planted = missed = 0
    for text in texts:
        found = find_steps(text.text)
        wrong = [step for step in found if not step.correct]
        alarms = [s for s in wrong if not any(a <= s.start < b for a, b in text.planted)]
        unseen = [(a, b) for a, b in text.planted if not any(a <= step.start < b for step in wrong)]
        steps, called, false = steps + len(found), called + len(wrong), false + len(alarms)
        planted, missed = planted + len(text.planted), missed + len(unseen)
        if show:
            for step in alarms:
                print(f"    false alarm: {text.text[step.start : step.end]!r}")
            for start, end in unseen:
                print(f"    missed: {text.text[start:end]!r}")
    print(f"  {steps:,} steps read, {called:,} called wrong, {1 - false / max(1, called):.1%} of them truly")
    print(f"  {planted:,} errors, {1 - missed / max(1, planted):.1%} of them found")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=int, default=2_000)
    parser.add_argument("--statements", type=Path, default=Path(__file__).parent / "data" / "arithmetic.tsv")
    parser.add_argument("--show", action="store_true", help="print false alarms and errors that were missed")
    arguments = parser.parse_args()
    rng = random.Random(0)
    print(f"{arguments.traces:,} written traces")
    measure((write_trace(rng) for _ in range(arguments.traces)), show=arguments.show)
    lines = [line.split("\t") for line in arguments.statements.read_text(encoding="utf-8").splitlines()]
    print(f"{len(lines)} statements by hand")
    texts = (Text(text, [(0, len(text))] if kind == "wrong" else []) for kind, text in lines)
    measure(texts, show=arguments.show)


if __name__ == "__main__":
    main()
