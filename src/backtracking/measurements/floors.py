"""What a baseline must offer before a claim about a change of it means anything; what counts as a loss."""

from typing import Final

MOST_CUT = 0.5
"""Where more completions than this are cut, their text says little about the model."""
FEWEST_PROBLEMS = 6
"""With fewer, a verdict would rest on the assumed shape of what was not seen: that all problems lean to one
side has a chance of 2 ÷ 2⁵ = 6% for five of them, and of 3% for six."""
SMALLEST_LOSS = 0.1
"""Nats of log-odds (or of logit) that a component must take beyond the ensemble to stand out of it."""
NOT_TESTABLE: Final = "not testable"
"""The verdict where a floor is not reached."""
_SILENT = "no onsets in"


def too_few(problems: int | None) -> str:
    """Why so few problems decide nothing, whatever they show; empty for enough, or an unknown number."""
    if not problems or problems >= FEWEST_PROBLEMS:
        return ""
    return f"only {problems} {'problem' if problems == 1 else 'problems'}; a verdict needs {FEWEST_PROBLEMS}"


def allowed_loss(margin: float, rate: float) -> float:
    """What may be lost of a baseline rate: the margin, but never more than a quarter of what there is."""
    return min(margin, rate / 4)


def too_low(what: str, rate: float, margin: float) -> str:
    """Why a baseline rate cannot show that a change stays inside the margin; empty where it can.

    A loss of the margin has to leave at least half of the rate: below that, a baseline that is destroyed
    would pass for one that is held.
    """
    if rate >= 2 * margin:
        return ""
    return (
        f"baseline {what} is {rate:.1%}, at least {2 * margin:.0%} needed (twice the margin, lest the "
        "loss of more than half pass for no loss)"
    )


def too_cut(which: str, share: float) -> str:
    """Why completions say little about the model; empty where enough of them finish."""
    if share <= MOST_CUT:
        return ""
    return (
        f"{share:.1%} of {which} completions are cut, at most {MOST_CUT:.0%} may be (few of those have"
        " come to an answer)"
    )


def no_onsets(onsets: int, completions: int) -> str:
    """Why nothing can be said about onsets; empty where there is one."""
    return "" if onsets else f"{_SILENT} {completions:,} baseline completions"


def but_for_onsets(reason: str) -> str:
    """A reason without the part that the baseline has no onset: whatever does not need one is judged."""
    return "; ".join(part for part in reason.split("; ") if not part.startswith(_SILENT))
