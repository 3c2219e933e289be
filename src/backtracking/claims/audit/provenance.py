"""Checks of what made the numbers: the code, and the number format."""

from typing import Any

from backtracking.claims.audit.audited import AuditedRun
from backtracking.claims.audit.check import PASS, WARN, Finding, graded, not_applicable, rule
from backtracking.claims.audit.completions import Group, first_few
from backtracking.claims.wording import percent, quoted
from backtracking.config.generation import SamplingConfig

MOST_DIVERGED, FAR_TOO_MANY = 0.05, 0.25
FEWEST_ROWS = 20
HALF_FORMATS = ("bfloat16", "float16")
_ASIDE = {"num_samples_per_prompt", "batch_size", "engine", "logprobs"}
"""What of the section leaves the choice of tokens alone."""
_SAMPLING = ("run.seed", *(f"generation.{key}" for key in SamplingConfig.model_fields if key not in _ASIDE))
_READ_OFF = ("completion_tokens", "onset_char", "predicted_answer", "strict")


@rule(
    bounds=f"Warns above {MOST_DIVERGED:.0%} of the completions, fails above {FAR_TOO_MANY:.0%}. Measured "
    "where two phases sampled the same baseline alike; elsewhere not applicable, except in float32.",
    why="Completions of the same seed are paired across arms. In half precision some part for the "
    "arrangement of the batch alone, which passes for an effect and hides the first token that an "
    "arm changed.",
    what_to_do="Set model.torch_dtype: float32, or read first divergences and small effects against this "
    "rate.",
)
def bfloat16_divergence(run: AuditedRun) -> Finding:
    """Untouched completions of one seed that differ between the two phases, and the number format."""
    dtype = str(run.part("model").get("dtype") or run.setting("model.torch_dtype") or "unknown")
    rates = _parted(run)
    if rates is not None:
        share, rows = rates
        says = (
            f"{percent(share)} of {rows:,} untouched completions differ between the phases ({quoted(dtype)})"
        )
        return graded(share, says, warn=MOST_DIVERGED, fail=FAR_TOO_MANY)
    if dtype in HALF_FORMATS:
        return not_applicable(f"{dtype}: how many completions part by arithmetic alone was not measured here")
    if dtype == "float32":
        return Finding(PASS, "float32: a completion does not depend on its batch", 0.0)
    return not_applicable("the number format is not in this run's record")


def _parted(run: AuditedRun) -> tuple[float, int] | None:
    """The share of rows that both phases sampled alike and that differ; none where they sampled otherwise."""
    earlier = run.phase1
    if earlier is None or any(run.setting(key) != earlier.setting(key) for key in _SAMPLING):
        return None
    there = {group.variant: group for group in earlier.baselines}
    for group in run.baselines:
        if (other := there.get(group.variant)) is not None:
            return _differing(group, other)
    return None


def _differing(one: Group, other: Group) -> tuple[float, int] | None:
    keys = ["example_id", "sample_id"]
    columns = [name for name in _READ_OFF if one.holds(name) and other.holds(name)]
    if len(columns) < 2 or any("sample_id" not in group.rows for group in (one, other)):
        return None
    pairs = one.rows[[*keys, *columns]].merge(other.rows[[*keys, *columns]], on=keys, suffixes=("", "_there"))
    if len(pairs) < FEWEST_ROWS:
        return None
    differs = [_unequal(pairs[name], pairs[f"{name}_there"]) for name in columns]
    return float(sum(differs[1:], differs[0]).astype(bool).mean()), len(pairs)


def _unequal(one: Any, other: Any) -> Any:
    return ((one != other) & ~(one.isna() & other.isna())).astype(int)


@rule(
    bounds="Warns at uncommitted changes, at several revisions, and where none is recorded.",
    why="Numbers can be made again only by code that is known: uncommitted changes, or no revision at "
    "all, leave nobody able to say what made them.",
    what_to_do="Commit the code, then make the results again (`backtracking run --force STAGE`), or publish "
    "the code as it is with the run.",
)
def code_revision(run: AuditedRun) -> Finding:
    """The revision of the code that made the run, and whether it was changed since."""
    environment = run.part("environment")
    git = run.part("environment", "git")
    earlier = run.part("earlier") or run.evidence.meta
    sha = git.get("sha") or earlier.get("git_commit") or earlier.get("git_sha")
    records = [record for record in run.part("stages").values() if isinstance(record, dict)]
    codes = sorted({str(record["code"]) for record in records if record.get("code")})
    dirty = [code for code in codes if "uncommitted changes" in code]
    if git.get("dirty") or dirty:
        return Finding(
            WARN, "made with uncommitted changes", float(len(dirty) or 1), tuple(map(quoted, dirty))
        )
    if len(codes) > 1:
        says = (
            f"made by {len(codes)} revisions of the code: {first_few([quoted(code[:12]) for code in codes])}"
        )
        return Finding(WARN, says, float(len(codes)), tuple(map(quoted, codes)))
    if sha:
        return Finding(PASS, f"revision {quoted(str(sha)[:12])}", 0.0)
    if environment.get("version") and environment.get("source"):
        digest = str(environment["source"])[:12]
        return Finding(
            PASS, f"version {quoted(environment['version'])}, digest of the sources {quoted(digest)}", 0.0
        )
    return Finding(WARN, "the revision of the code is not recorded")


CHECKS = (bfloat16_divergence, code_revision)
