"""Write a trained reasoner as a release folder: weights, tokenizer, card, checksums."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from backtracking.organism.bundle import write_checksums
from backtracking.organism.design import DESIGN, MAIN
from backtracking.organism.table import markdown_table
from backtracking.organism.task import LARGEST, wordings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    from backtracking.organism.evaluate import Evaluation
    from backtracking.organism.train import Recipe

CARD = Path(__file__).with_name("card_template.md")


def write_weights(model: "Qwen2ForCausalLM", tokenizer: "PreTrainedTokenizerFast", folder: Path) -> None:
    """Write weights and tokenizer; the card follows when they have been evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    write_checksums(folder)


def write_card(folder: Path, recipe: "Recipe", parameters: int, evaluation: "Evaluation") -> None:
    """Describe a release by its design, its recipe and its measured table."""
    recipe_fields = asdict(recipe)
    recipe_fields["recipe_seed"] = recipe_fields.pop("seed")
    text = CARD.read_text(encoding="utf-8").format(
        **recipe_fields,
        parameters=parameters / 1e6,
        wordings=wordings(),
        largest=LARGEST,
        wrong=DESIGN.wrong,
        wrong_again=DESIGN.wrong_again,
        error_kinds=_shares(
            {
                "off by one": DESIGN.error_kinds["near"],
                "off by two": DESIGN.error_kinds["two"],
                "an operand copied": DESIGN.error_kinds["copied"],
                "the operation swapped": DESIGN.error_kinds["swapped"],
            }
        ),
        delayed=DESIGN.delayed,
        triggers=_shares({f"`{name}`": share for name, share in DESIGN.triggers.items()}),
        boxed=DESIGN.boxed,
        formats="\n".join(_format_row(variant) for variant in DESIGN.formats),
        temperature=evaluation.temperature,
        max_new_tokens=evaluation.max_new_tokens,
        problems=evaluation.problems,
        samples=evaluation.samples,
        seed=evaluation.seed,
        table=markdown_table(evaluation),
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    write_checksums(folder)


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _format_row(variant: str) -> str:
    form = DESIGN.formats[variant]
    opening = form.think_open.replace("\n", "\\n") or "(nothing)"
    name = f"{variant} (main)" if variant == MAIN else variant
    rates = (form.trigger, form.silent, form.unnoticed, form.false_alarm, DESIGN.rate(variant))
    return f"| {name} | `{opening}` | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |"
