"""How many planted errors the arithmetic checker finds in passages in the manner of R1, template by template.

    python benchmarks/passages.py [--repeats 40] [--seed 991]

Each template is filled with random numbers, once with its right result and once with a wrong one. They were
written after the checker's rules, which were not changed by them.
"""

import argparse
import random
from fractions import Fraction

from backtracking.text.arithmetic import find_steps

_NAMES = ("Lena", "Omar", "Priya", "Jun")
_THINGS = ("pens", "cards", "tiles", "litres", "cupcakes")

Passage = tuple[str, Fraction | int]
"""A text with `{r}` where its result belongs, and the right result."""


def passages(rng: random.Random) -> list[Passage]:
    """Every template with numbers of its own."""
    a, b, c, d, q = (rng.randint(*ends) for ends in ((3, 95), (3, 95), (2, 15), (2, 9), (2, 25)))
    n, t = rng.choice(_NAMES), rng.choice(_THINGS)
    return [
        (f"Okay, so {n} starts with {a} {t} and buys {b} more. So {a} + {b} = {{r}} {t}.", a + b),
        (f"Hmm, {c} groups of {a} {t}: {c} × {a} = {{r}}.", a * c),
        (f"Hmm, let me do it: {a + b} − {b} = {{r}}. Alright.", a),
        (f"The remaining amount is \\( {a + b + 5} - {b} = {{r}} \\) {t}.", a + 5),
        (f"So we get $ {a} \\times {c} = {{r}} $ in the end.", a * c),
        (f"$$ {a} \\cdot {c} + {b} = {{r}} $$", a * c + b),
        (f"\\[\n\\text{{Cost}} = {a} \\times {c} = {{r}} \\text{{ dollars}}\n\\]", a * c),
        (f"\\[\n\\frac{{{d * q}}}{{{d}}} = {{r}} \\text{{ {t}}}\n\\]", q),
        (
            f"\\begin{{align}}\nS &= {a} + {b} + {c}\\\\\n&= {a + b} + {c}\\\\\n&= {{r}}\n\\end{{align}}",
            a + b + c,
        ),
        (f"\\begin{{align*}}\n{a} \\times {c} &= {{r}} \\\\\n{b} + 1 &= {b + 1}\n\\end{{align*}}", a * c),
        (f"1. **{n}'s share**: \\({a} + {b} = {{r}}\\)\n2. Next", a + b),
        (f"   - {n}: ${c} \\times \\${a} = \\${{r}}$", a * c),
        (f"* Cost of {t}: {c} * ${a} = ${{r}}", a * c),
        (f"**Total:** ${a} + ${b} = **${{r}}**", a + b),
        (f"So, that's {a} + {b} which is {{r}}, I think.", a + b),
        (f"So {c} times {a} is {{r}}, let me write that down.", a * c),
        (f"And {a} plus {b} is {{r}}.", a + b),
        (f"Then {d * q} divided by {d} is {{r}}, good.", q),
        (f"{a + b} minus {a} gives {{r}} {t}.", b),
        (f"So {a} + {b} equals {{r}}.", a + b),
        (f"That's {c} × ${a} = ${{r}} for the {t}.", a * c),
        (f"{10 * d}% of ${100 * q} is ${{r}}.", 10 * d * q),
        (f"20% of {5 * a} = {{r}}, so", a),
        (f"\\(0.{d} \\times {10 * a} = {{r}}\\)", a * d),
        (f"\\( {100 * q} \\times \\frac{{{d}}}{{100}} = {{r}} \\)", q * d),
        (f"\\( {10 * d}\\% \\times {10 * q} = {{r}} \\)", d * q),
        (f"\\frac{{3}}{{4}} \\times {4 * q} = {{r}}", 3 * q),
        (f"\\left(\\frac{{1}}{{2}}\\right) \\times {2 * a} = {{r}}", a),
        (f"({a} + {b}) × {c} = {a + b} × {c} = {{r}}", (a + b) * c),
        (f"{c} × ({a} - 1) = {{r}}", c * (a - 1)),
        (f"2 × [{a} + ({b} - 1)] = {{r}}", 2 * (a + b - 1)),
        (f"{a}*{c} + {b}*{d} = {a * c} + {b * d} = {{r}}.", a * c + b * d),
        (f"{a}*{c} + {b}*{d} = {{r}}", a * c + b * d),
        (f"First part: {a}*{c}={{r}}. Second part later.", a * c),
        (f"Let me add them: {a}+{b}+{c}+{d}={{r}}", a + b + c + d),
        (f"If x = {c}, then {d}x = {d} × {c} = {{r}}.", c * d),
        (f"x = {a} + {b} = {{r}}", a + b),
        (f"Total = {c}·{a} = {{r}}", a * c),
        (f"{c} hours/day × 7 days = {{r}} hours", c * 7),
        (f"{c} hours per day * 7 days = {{r}} hours per week", c * 7),
        (f"{a} miles/hour × {c} hours = {{r}} miles", a * c),
        (f"Now, {c} weeks × 7 days = {{r}} days.", c * 7),
        (f"{a} {t} + {b} {t} = {{r}} {t}", a + b),
        (f"{a} red + {b} blue = {{r}} marbles", a + b),
        (f"{a} girls + {b} boys = {{r}} children", a + b),
        (f"| Day | Work |\n|-----|------|\n| 1 | {a} + {b} = {{r}} |\n| 2 | rest |", a + b),
        (f"| {n} | {c} × {a} = {{r}} | done |", a * c),
        (f"`{a} * {c} = {{r}}`", a * c),
        (f"> So {a} - {a - 2} = {{r}}", 2),
        (f"{c}² = {{r}}", c * c),
        (f"\\( {c}^2 + {d}^{{2}} = {{r}} \\)", c * c + d * d),
        (f"\\sqrt{{{c * c}}} = {{r}}", c),
        (f"{a}k + {b}k = {{r}}k", a + b),
        (f"{c}y - {c - 1}y + {d}y = {{r}}y", 1 + d),
        (f"But wait, {a} + {b} = {{r}}, not {a + b + 7}.", a + b),
        (f"Since {a} + {b} = {{r}}, we know {n} has enough.", a + b),
        (f"(since {a} + {b} = {{r}})", a + b),
        (f"so the total would be {a} + {b} = {{r}} {t} in all", a + b),
        (f"she has ${a + b} - ${b} = ${{r}} left", a),
        (f"she has {a + b} - {b} = {{r}} {t} left over", a),
        (f"that leaves {a + b} - {a} = {{r}} for {n}.", b),
        (f"{{r}} = {c} × {a}", a * c),
        (f"So the answer is {a} + {b} = \\boxed{{{{r}}}}.", a + b),
        (f"\\boxed{{{a} \\times {c} = {{r}}}}", a * c),
        (f"{a}.5 × 2 = {{r}}", 2 * a + 1),
        (f"{a}.25 + {b}.50 = {{r}}", a + b + Fraction(3, 4)),
        (f"${a}.99 + $0.01 = ${{r}}", a + 1),
        (f"{1000 + a} + {2000 + b} = {{r}}", 3000 + a + b),
        (f"1,{200 + a} × 2 = {{r}}", 2400 + 2 * a),
        (f"{a}/{d} × {d} = {{r}}", a),
        (f"({d * q}/{d}) + {a} = {{r}}", q + a),
        (f"{d * q} ÷ {d} + {a} = {{r}}", q + a),
        (f"-{a} - {b} = {{r}}", -a - b),
        (f"{a} - {a + b} = {{r}}", -b),
        (f"\\({a}\\) + \\({b}\\) = \\({{r}}\\)", a + b),
        (f"${a}$ plus ${b}$ equals ${{r}}$", a + b),
        (f"{a} + {b} → {{r}}", a + b),
    ]


def written(value: Fraction | int, rng: random.Random) -> str:
    """A value as text, thousands now and then separated."""
    exact = Fraction(value)
    if exact.denominator != 1:
        return f"{float(exact):g}"
    return f"{exact.numerator:,}" if rng.random() < 1 / 2 else str(exact)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seed", type=int, default=991)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    planted = found = alarms = 0
    missed: dict[int, str] = {}
    for _ in range(arguments.repeats):
        for place, (text, value) in enumerate(passages(rng)):
            right, wrong = value, value + rng.choice((1, -1, 10, 2, -3))
            alarms += _calls_wrong(text.replace("{r}", written(right, rng)))
            is_found = _calls_wrong(text.replace("{r}", written(wrong, rng)))
            planted, found = planted + 1, found + is_found
            if not is_found:
                missed[place] = text
    print(f"{planted:,} errors, {found / planted:.1%} of them found")
    print(f"{found + alarms:,} texts called wrong, {found / max(1, found + alarms):.1%} of them truly")
    print(*(f"    missed: {text!r}" for text in missed.values()), sep="\n")


def _calls_wrong(text: str) -> bool:
    return any(not step.correct for step in find_steps(text))


if __name__ == "__main__":
    main()
