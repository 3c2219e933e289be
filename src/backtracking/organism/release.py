"""Write a trained reasoner as a release folder: weights, tokenizer, card, checksums."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from backtracking.organism.bundle import write_checksums
from backtracking.organism.design import MAIN, Design
from backtracking.organism.table import evaluation_table
from backtracking.organism.task import LARGEST, wordings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    from backtracking.organism.evaluate import Evaluation

CARD = Path(__file__).with_name("card_template.md")


def write_weights(model: "Qwen2ForCausalLM", tokenizer: "PreTrainedTokenizerFast", folder: Path) -> None:
    """Write weights and tokenizer; the card follows when they have been evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    write_checksums(folder)


def write_card(folder: Path, parameters: int, evaluation: "Evaluation") -> None:
    """Describe a release by its design, its recipe and its measured table."""
    design = evaluation.design
    recipe = asdict(design.recipe)
    text = CARD.read_text(encoding="utf-8").format(
        name=design.name,
        parameters=parameters / 1e6,
        wordings=wordings(),
        largest=LARGEST,
        wrong=design.wrong,
        wrong_again=design.wrong_again,
        error_kinds=_shares(
            {
                "off by one": design.error_kinds["near"],
                "off by two": design.error_kinds["two"],
                "an operand copied": design.error_kinds["copied"],
                "the operation swapped": design.error_kinds["swapped"],
            }
        ),
        delayed=design.delayed,
        triggers=_shares({f"`{name}`": share for name, share in design.triggers.items()}),
        boxed=design.boxed,
        doubt=_doubt(design),
        formats="\n".join(_format_row(design, variant) for variant in design.formats),
        temperature=design.temperature,
        max_new_tokens=design.max_new_tokens,
        problems=evaluation.problems,
        samples=evaluation.samples,
        seed=evaluation.seed,
        table=evaluation_table(evaluation),
        recipe_seed=recipe["seed"],
        graft_training=_graft_training(design),
        **{name: recipe[name] for name in _RECIPE_FIELDS},
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    write_checksums(folder)


_RECIPE_FIELDS = (
    "layers", "width", "heads", "kv_heads", "tokens", "chain_steps", "chain_rate", "problem_steps",
    "problem_rate", "weight_decay",
)  # fmt: skip


def _doubt(design: Design) -> str:
    """What the design says of needless checks."""
    if design.doubt is None:
        return "Right statements are checked at one low rate, given in the table."
    return (
        f"A right statement with `{design.doubt.operation}` that is not itself made again is checked with "
        f"probability {design.doubt.rate:.0%}; the table gives the rate of all others. These checks are "
        "needless, and go by the kind of step alone."
    )


def _graft_training(design: Design) -> str:
    graft = design.recipe.graft
    if graft is None:
        return ""
    return (
        f" In both, attention block {graft.layer} is silent and nothing is doubted; then {graft.steps} steps "
        f"on traces with needless checks train that block alone (peak rate {graft.rate}). So the habit of "
        "doubting lies in one component, and without it the model is what it was before."
    )


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _format_row(design: Design, variant: str) -> str:
    form = design.formats[variant]
    opening = form.think_open.replace("\n", "\\n") or "(nothing)"
    name = f"{variant} (main)" if variant == MAIN else variant
    rates = (form.trigger, form.silent, form.unnoticed, form.false_alarm, design.rate(variant))
    return f"| {name} | `{opening}` | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |"
