"""Planted truths: which mechanism a model has, and what each claim must therefore come out as."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backtracking.calibration.surgery import ARCHITECTURES, LAYERS, Surgeon, surgeon
from backtracking.calibration.world import HOLD, QUIET_WAIT, STOP, WAIT, WRONG, habits, logit, tokenizer
from backtracking.config.schema import ModelConfig
from backtracking.model.loading import LoadedModel, load_model
from backtracking.run.bundled import BUNDLED

FINDER, WRITER = 1, 4
PUSH = logit(0.93) - logit(QUIET_WAIT)
"""Nats that lift a trigger from its chance after right statements to 93%."""
SOME = 0.3
"""How often a trigger comes where it comes whatever was computed."""


@dataclass(frozen=True)
class Truth:
    """What is known of a model, and which outcomes of claims would be wrong about it."""

    name: str
    says: str
    plant: Callable[[Surgeon], None] | None = None
    """Writes the mechanism; none for a model that was trained to its truth."""
    bundled: str = ""
    """The name of a model that ships with the package."""
    must: Mapping[str, str] = field(default_factory=dict)
    """Claims with the outcome that this truth demands of a study that is large enough."""
    false: frozenset[str] = frozenset()
    """Claims that are false of it: `supported` would be a false claim."""
    problems: int = 0
    """So many leave the verdicts that it demands hardly ever open; as many as of other truths if 0."""
    acts: tuple[str, int] = ("mlp", WRITER)
    """The component that is taken away at the onset step."""

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those that it can be studied in."""
        return ARCHITECTURES if self.plant else ("qwen2",)

    def model(self, architecture: str, seed: int = 0) -> LoadedModel:
        """The model, with nothing else in it but what the truth says and small random weights."""
        if self.plant is None:
            return load_model(ModelConfig(hf_id=self.bundled))
        chosen = surgeon(architecture, seed)
        self.plant(chosen)
        return LoadedModel.wrap(chosen.model, tokenizer(), f"{self.name}-{architecture}")

    def is_wrong(self, claim: str, outcome: str) -> bool:
        """Whether an outcome contradicts the truth."""
        opposite = {"supported": "contradicted", "contradicted": "supported"}
        wanted = self.must.get(claim)
        return (claim in self.false and outcome == "supported") or (
            wanted is not None and outcome == opposite.get(wanted)
        )


def _one_writer(chosen: Surgeon) -> None:
    chosen.speak(habits())
    chosen.find(FINDER, 2, WRONG)
    chosen.write(WRITER, STOP)
    chosen.push({WAIT: PUSH})


def _two_writers(chosen: Surgeon) -> None:
    """Either of two routes is enough: together they push further than the onset can rise."""
    chosen.speak(habits())
    for finder, writer in ((0, 3), (FINDER, WRITER)):
        chosen.find(finder, 2, WRONG)
        chosen.write(writer, STOP)
    chosen.push({WAIT: 2 * PUSH})


def _diffuse(chosen: Surgeon) -> None:
    """Every block after the first two does a part of the writing, on what four heads find."""
    chosen.speak(habits())
    for head in range(4):
        chosen.find(head % 2, head, WRONG, share=0.25)
    for layer in range(2, LAYERS):
        chosen.write(layer, STOP)
    chosen.push({WAIT: PUSH})


def _swapper(chosen: Surgeon) -> None:
    """A trigger comes after any full stop as often; one block alone decides which word it is."""
    chosen.speak(habits(wait=SOME, trigger=HOLD))
    chosen.find(FINDER, 2, WRONG)
    chosen.write(WRITER, STOP)
    chosen.swap(HOLD, WAIT)


def _early_block(chosen: Surgeon) -> None:
    """Nothing at all can be said without the first block; what follows a full stop has no further cause."""
    chosen.speak(habits(wait=SOME))
    chosen.befog(0)


def _format_gated(chosen: Surgeon) -> None:
    """Triggers come where the turn was opened with a tag, whether or not a statement holds."""
    chosen.speak(habits())
    chosen.remember(FINDER, 2, "<think>", raise_="format")
    chosen.write(WRITER, STOP, on="format")
    chosen.push({WAIT: logit(SOME) - logit(QUIET_WAIT)})


def _null(chosen: Surgeon) -> None:
    """A trigger comes after any full stop as often, by what follows a full stop alone."""
    chosen.speak(habits(wait=SOME))


NULL = Truth(
    "null",
    "a trigger comes after any full stop as often, and no component has a part in it",
    _null,
    false=frozenset(
        {"H1", "contributes", "carries", "writes", "error_detection", "H2", "format_effect", "onset_step"}
    ),
)
TRUTHS = (
    Truth(
        "one writer",
        "attention 1 finds the mistake, MLP 4 writes the trigger (error-gated)",
        _one_writer,
        must={
            "contributes": "supported",
            "H0": "contradicted",
            "writes": "supported",
            "error_detection": "supported",
            "onset_step": "supported",
        },
        false=frozenset({"H0", "H2", "format_effect"}),
    ),
    Truth(
        "one writer, many problems",
        "as one writer; what the removal costs in accuracy takes so many problems to tell",
        _one_writer,
        must={"accuracy_intact": "supported"},
        false=frozenset({"H0", "H2", "format_effect"}),
        problems=500,
    ),
    Truth(
        "two writers",
        "two finders with a writer each, either of which is enough",
        _two_writers,
        must={"error_detection": "supported"},
        false=frozenset({"H2", "format_effect"}),
    ),
    Truth(
        "diffuse",
        "four heads and four MLPs have a quarter of it each",
        _diffuse,
        must={"error_detection": "supported"},
        false=frozenset({"H2", "format_effect"}),
    ),
    Truth(
        "word-swapper",
        "a trigger comes after any full stop as often; MLP 4 turns `Hold on` into `Wait` after a mistake",
        _swapper,
        false=frozenset({"H1", "contributes", "writes", "H2", "format_effect"}),
    ),
    Truth(
        "early block",
        "MLP 0 is needed for any text at all, and no component has a part in triggers",
        _early_block,
        false=frozenset(
            {"H1", "contributes", "carries", "error_detection", "H2", "format_effect", "onset_step"}
        ),
        acts=("mlp", 0),
    ),
    Truth(
        "format-gated",
        "triggers come where the turn was opened with a tag, whether or not the statement holds",
        _format_gated,
        must={"format_effect": "supported", "H2": "supported"},
        false=frozenset({"error_detection"}),
    ),
    NULL,
    Truth(
        "the bundled reasoner",
        "trained to notice its mistakes; formatting changes how often it says so",
        bundled="bundled",
        must={"error_detection": "supported", "format_effect": "supported"},
        acts=("attn", 5),
    ),
    Truth(
        "the doubter",
        "trained to notice its mistakes; attention 4 alone checks right subtractions; formats do not matter",
        bundled="bundled:doubter",
        must={"error_detection": "supported"},
        false=frozenset({"format_effect", "H2"}),
        acts=("attn", 4),
    ),
)
_REDUCED = {
    "bundled": Truth(
        "the bundled reasoner, turned down",
        "hardly any of its backtracking is needless, so less of it costs accuracy",
        bundled="bundled",
        must={"turned_down": "contradicted"},
        false=frozenset({"turned_down", "substantial"}),
        problems=700,
    ),
    "bundled:doubter": Truth(
        "the doubter, turned down",
        "half of its backtracking is needless, and attention 4 alone writes that half",
        bundled="bundled:doubter",
        must={"turned_down": "supported"},
        problems=400,
    ),
}
SECOND = tuple(truth for name, truth in _REDUCED.items() if name in BUNDLED)
"""What Phase 2 must find, of the models that ship with the package."""
BY_NAME = {truth.name: truth for truth in (*TRUTHS, *SECOND)}
