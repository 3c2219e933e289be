"""Write labelled traces in the manner of reasoning models, for training the bundled scorer.

python scripts/write_scorer_traces.py OUT.jsonl [--traces 400] [--seed 0]

Sentences come from scripts/scorer_templates.yaml. Templates are dealt to families, and a trace draws from one
family alone, so that leaving out a question leaves out whole templates.
"""

import argparse
import json
import random
import re
from pathlib import Path

import yaml

FAMILIES = 12
SENTENCES = 24
SHARES = {"none": 0.62, "doubt": 0.22, "redo": 0.16}
THINGS = (
    *(
        "apples",
        "boxes",
        "marbles",
        "trains",
        "sheep",
        "points",
        "tiles",
        "workers",
        "coins",
        "cards",
        "roads",
    ),
    *("bulbs", "terms", "factors", "edges", "tasks", "bottles", "pages", "friends", "eggs", "rows", "keys"),
)
_CHOICE = re.compile(r"\{([^{}]*)\}")
_FILL = {
    "n": lambda rng: str(rng.choice((rng.randint(1, 20), rng.randint(20, 999), round(rng.random() * 20, 1)))),
    "x": lambda rng: rng.choice("abcknpqxyzABCDE"),
    "thing": lambda rng: rng.choice(THINGS),
}


def fill(template: str, rng: random.Random) -> str:
    """One wording of a template, choices inside choices included."""
    while match := _CHOICE.search(template):
        inner = match.group(1)
        chosen = _FILL[inner](rng) if inner in _FILL else rng.choice(inner.split("|"))
        chosen = _FILL[chosen](rng) if chosen in _FILL and inner not in _FILL else chosen
        template = template[: match.start()] + chosen + template[match.end() :]
    return template[:1].upper() + template[1:]


def families(templates: dict[str, list[str]], rng: random.Random) -> list[dict[str, list[str]]]:
    """Every template in exactly one family, all kinds in each."""
    dealt: list[dict[str, list[str]]] = [{kind: [] for kind in templates} for _ in range(FAMILIES)]
    for kind, members in templates.items():
        for place, template in enumerate(rng.sample(members, len(members))):
            dealt[place % FAMILIES][kind].append(template)
    return dealt


def trace(family: dict[str, list[str]], rng: random.Random) -> list[dict[str, str]]:
    """Sentences of one family in random order, their kinds in the usual shares."""
    kinds = rng.choices(list(SHARES), weights=list(SHARES.values()), k=SENTENCES)
    return [{"text": fill(rng.choice(family[kind]), rng), "label": kind} for kind in kinds]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--traces", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    templates = yaml.safe_load(Path(__file__).with_name("scorer_templates.yaml").read_text(encoding="utf-8"))
    dealt = families(templates, rng)
    with arguments.out.open("w", encoding="utf-8") as file:
        for number in range(arguments.traces):
            family = number % FAMILIES
            row = {"id": f"family-{family:02d}", "sentences": trace(dealt[family], rng)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
