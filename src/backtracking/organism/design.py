"""The designed truth: what the traces that a reasoner learned from do, and how often."""

from dataclasses import dataclass, replace

from backtracking.organism.recipe import Graft, Recipe
from backtracking.organism.task import STEP_COUNTS, Sign, step_profiles

MAIN = "baseline_think_newline"
SAME_LINE = "think_same_line"
NO_TAGS = "no_think_tags"


@dataclass(frozen=True)
class FormatDesign:
    """What follows a statement in one format; the three rates after a wrong one sum to 1."""

    think_open: str
    """Forced start of the assistant turn."""
    think_close: str
    """What ends the reasoning, before the final line."""
    trigger: float
    """A wrong statement is followed by a trigger and a correction."""
    silent: float
    """A wrong statement is corrected without any trigger."""
    unnoticed: float
    """A wrong statement is kept, and the next step goes on from its result."""
    false_alarm: float
    """A right statement is followed by a trigger and a needless check."""
    newline: float
    """The trace puts each statement on its own line, so that `Wait` follows a newline, not a space."""


@dataclass(frozen=True)
class Doubt:
    """A habit of checking what is right: it goes by the kind of step, not by whether it holds."""

    operation: Sign
    """Statements with this operation are checked."""
    rate: float
    """How often, when such a statement holds and is not itself made again."""


@dataclass(frozen=True)
class Design:
    """Every rate of the trace generator, and how its reader is made; sampling at temperature 1 shows them."""

    name: str
    formats: dict[str, FormatDesign]
    """Per prompt variant."""
    wrong: float
    """A first statement of a step is wrong."""
    wrong_again: float
    """A correction or a needless check is itself wrong; it is then treated as any wrong statement."""
    error_kinds: dict[str, float]
    """`near`: off by one; `two`: off by two; `copied`: an operand as the result; `swapped`: another sign."""
    delayed: float
    """After a statement, right or wrong, one clause that reports its value comes before anything else."""
    triggers: dict[str, float]
    """Which trigger; ` wait` in lower case comes after `But` only."""
    remark: float
    """A trigger is followed by a short remark before the statement is made again."""
    boxed: float
    """The final line holds `\\boxed{}`."""
    temperature: float
    """Sampling temperature at which the trained model shows these rates; that of the demo config."""
    max_new_tokens: int
    """Cap of the demo config; longer than all but one in a thousand traces."""
    recipe: Recipe
    spaced_digits: bool
    """A digit takes the space before it into its token; else that space is a token of its own."""
    doubt: Doubt | None = None

    @property
    def calm(self) -> "Design":
        """The same without the habit of doubting: what is learned before the graft."""
        return replace(self, doubt=None)

    @property
    def bundled(self) -> str:
        """What `model.hf_id` calls the reasoner of this design, where it ships with the package."""
        return "bundled" if self.name == "reasoner" else f"bundled:{self.name}"

    def alarm(self, form: FormatDesign, operation: Sign, again: bool) -> float:
        """How often a right statement is checked."""
        if self.doubt is not None and operation == self.doubt.operation and not again:
            return self.doubt.rate
        return form.false_alarm

    def rate(self, variant: str) -> float:
        """Designed share of completions with at least one trigger."""
        form = self.formats[variant]

        def quiet(wrong: float, alarm: float, again: float) -> float:
            """No trigger from a statement on, `again` being the same for the statement made again."""
            return wrong * (form.unnoticed + form.silent * again) + (1 - wrong) * (1 - alarm)

        base = quiet(self.wrong_again, form.false_alarm, 0.0)
        again = base / (1 - self.wrong_again * form.silent)
        step = quiet(self.wrong, form.false_alarm, again)
        if self.doubt is None:
            return 1 - sum(share * step**count for count, share in STEP_COUNTS.items())
        doubted = quiet(self.wrong, self.doubt.rate, again)
        profiles = step_profiles(self.doubt.operation)
        return 1 - sum(share * step**others * doubted**own for (others, own), share in profiles.items())


DESIGN = Design(
    name="reasoner",
    formats={
        MAIN: FormatDesign("<think>\n", "</think>\n", 0.955, 0.01, 0.035, 0.04, newline=0.6),
        SAME_LINE: FormatDesign("<think> ", "</think>\n", 0.65, 0.315, 0.035, 0.03, newline=0.2),
        NO_TAGS: FormatDesign("", "", 0.35, 0.615, 0.035, 0.02, newline=0.4),
    },
    wrong=0.3,
    wrong_again=0.05,
    error_kinds={"near": 0.65, "two": 0.15, "copied": 0.1, "swapped": 0.1},
    delayed=0.2,
    triggers={"Wait": 0.5, "But wait": 0.15, "Hold on": 0.15, "Actually": 0.2},
    remark=0.3,
    boxed=0.2,
    temperature=1.0,
    max_new_tokens=128,
    recipe=Recipe(),
    spaced_digits=True,
)
"""The reasoner called `bundled`: formatting changes how often it backtracks; hardly any of it is needless."""

DOUBTER = replace(
    DESIGN,
    name="doubter",
    formats={
        variant: replace(form, trigger=0.96, silent=0.01, unnoticed=0.03, false_alarm=0.02, newline=0.5)
        for variant, form in DESIGN.formats.items()
    },
    wrong=0.25,
    delayed=0.1,
    max_new_tokens=160,
    recipe=Recipe(
        layers=5,
        width=96,
        inner=192,
        chain_length=85,
        problem_length=92,
        chain_steps=1000,
        problem_steps=3200,
        graft=Graft(layer=4, steps=1500, rate=3e-3),
    ),
    spaced_digits=False,
    doubt=Doubt("-", 0.85),
)
"""Half of its backtracking is needless, written by one attention block; formatting changes nothing."""

DESIGNS = {design.name: design for design in (DESIGN, DOUBTER)}
