"""The designed truth: what the traces that the reasoner learned from do, and how often."""

from dataclasses import dataclass

from backtracking.organism.task import STEP_COUNTS

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
class Design:
    """Every rate of the trace generator. Sampling at temperature 1 should show them again."""

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

    def rate(self, variant: str) -> float:
        """Designed share of completions with at least one trigger."""
        form = self.formats[variant]

        def quiet(wrong: float, again: float) -> float:
            """No trigger from a statement on, `again` being the same for the statement made again."""
            return wrong * (form.unnoticed + form.silent * again) + (1 - wrong) * (1 - form.false_alarm)

        base = quiet(self.wrong_again, 0.0)
        again = base / (1 - self.wrong_again * form.silent)
        step = quiet(self.wrong, again)
        return 1 - sum(share * step**count for count, share in STEP_COUNTS.items())


DESIGN = Design(
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
)
