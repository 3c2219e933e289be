"""The figures of docs/organism.md: `python -m backtracking.organism.figures LOG OUT`."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM

from backtracking.organism.batches import prompt_text
from backtracking.organism.bundle import bundled_reasoner_path
from backtracking.organism.design import DESIGN, DESIGNS, MAIN, Design
from backtracking.organism.probe import trigger_token_ids
from backtracking.organism.sampling import sample
from backtracking.organism.task import TinyProblem, tiny_problems
from backtracking.organism.traces import read_answer, read_statements

COLOURS = {"wrong": "tab:red", "right": "tab:blue", "doubted": "tab:orange"}


def learning_curve(log: Path, design: Design) -> Figure:
    """How the trigger comes to follow the model's mistakes, and what else the design has it follow."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for phase in design.recipe.phases:
        rows = [line for line in lines if line["phase"] == phase.name]
        on_its_own = phase.name == "chains"
        for kind, colour in COLOURS.items():
            values = [line.get(("chain_" if on_its_own else "") + kind) for line in rows]
            if None in values:
                continue
            label = f"after a {kind} statement " + ("on its own" if on_its_own else "in a problem")
            axes.plot(
                [line["step"] for line in rows],
                values,
                color=colour,
                linestyle=":" if on_its_own else "-",
                label=None if phase.name == "graft" else label,
            )
        if phase.begin:
            axes.axvline(phase.begin, color="black", linewidth=0.8)
            axes.text(phase.begin, 0.22, f" {phase.name}", va="center")
    form = design.formats[MAIN]
    doubt = [design.doubt.rate] if design.doubt else []
    for rate in (form.trigger, form.false_alarm, *doubt):
        axes.axhline(rate, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="training step", ylabel="P(next token starts a trigger)", ylim=(-0.02, 1.02))
    axes.set_title(
        "Held-out statements, once right and once wrong (dashed: as designed)",
        fontsize=9,
    )
    axes.legend(fontsize=8, loc="center")
    return figure


@dataclass(frozen=True)
class AnnotatedTrace:
    """A sampled completion, token by token, with what the model expects next."""

    problem: TinyProblem
    tokens: tuple[str, ...]
    trigger_next: tuple[float, ...]
    """Probability, after each token, that the next one starts a trigger."""
    wrong: tuple[bool, ...]
    """Whether the token belongs to a wrong statement."""


def _one_noticed_mistake(problem: TinyProblem, text: str) -> bool:
    statements = read_statements(text)
    noticed = [s for s in statements if not s.holds and s.triggered]
    alone = len(noticed) == sum(not s.holds for s in statements) == sum(s.triggered for s in statements) == 1
    on_own_lines = text.count(".\n") == len(statements)
    return alone and on_own_lines and read_answer(text) == problem.value


def annotate(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> AnnotatedTrace:
    """The first sampled completion, one statement a line, with one mistake, noticed, and a right answer."""
    problems = [p for p in tiny_problems("test", 100, seed) if len(p.steps) == 3]
    prompts = [prompt_text(problem.question, MAIN) for problem in problems]
    written = sample(model, tokenizer, prompts, temperature=DESIGN.temperature, max_new_tokens=64, seed=seed)
    written_for = zip(problems, prompts, (completion.text for completion in written), strict=True)
    problem, prompt, text = next(row for row in written_for if _one_noticed_mistake(row[0], row[2]))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    start = tokenizer(prompt, add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([start + encoded.input_ids])).logits[0, len(start) :]
    end = next(s.end for s in read_statements(text) if not s.holds)
    begin = text.rfind("\n", 0, end) + 1
    return AnnotatedTrace(
        problem,
        tuple(text[a:b] for a, b in encoded.offset_mapping),
        tuple(logits.softmax(-1)[:, trigger_token_ids(tokenizer)].sum(-1).tolist()),
        tuple(begin <= a < end for a, _ in encoded.offset_mapping),
    )


def trace_figure(trace: AnnotatedTrace) -> Figure:
    """The completion in a fixed-width face; the darker a token, the likelier a trigger comes next."""
    figure = Figure(figsize=(7, 3.2))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.82))
    shades = colormaps["Reds"]
    row, column = 0.0, 0
    for token, chance, wrong in zip(trace.tokens, trace.trigger_next, trace.wrong, strict=True):
        shown = token.replace("\n", "⏎")
        axes.text(
            column,
            -row,
            shown,
            family="monospace",
            fontsize=11,
            color="white" if chance > 0.6 else "darkred" if wrong else "black",
            weight="bold" if wrong else "normal",
            bbox={"facecolor": shades(chance), "edgecolor": "lightgrey", "linewidth": 0.4, "pad": 1.5},
        )
        if chance >= 0.1:
            axes.text(column, -row + 0.42, f"{chance:.2f}", fontsize=7, color="grey")
        column += len(shown)
        if "\n" in token or column > 52:
            row, column = row + 1.0, 0
    axes.set(xlim=(-0.5, 60), ylim=(-row - 0.6, 0.9))
    axes.axis("off")
    figure.suptitle(
        f"{trace.problem.question}\nshade, number: P(next token starts a trigger); bold: the wrong statement",
        fontsize=8,
        wrap=True,
    )
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures of a design: its learning curve and, for the first, a trace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, help="log.jsonl of the training")
    parser.add_argument("out", type=Path, help="folder for the figures")
    parser.add_argument("--design", choices=DESIGNS, default=DESIGN.name)
    options = parser.parse_args(arguments)
    design = DESIGNS[options.design]
    options.out.mkdir(parents=True, exist_ok=True)
    curve = "organism_learning_curve.png" if design is DESIGN else f"{design.name}_learning_curve.png"
    learning_curve(options.log, design).savefig(options.out / curve, dpi=150)
    if design is not DESIGN:
        return
    folder = bundled_reasoner_path()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    trace = annotate(model, AutoTokenizer.from_pretrained(folder))
    trace_figure(trace).savefig(options.out / "organism_trace.png", dpi=150)


if __name__ == "__main__":
    main()
