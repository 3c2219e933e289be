"""Models whose mechanism is planted, and runs of rows in which it shows."""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from backtracking.artifacts.phase1 import EVENTS, GENERATIONS, ONSETS
from backtracking.config.load import LoadedConfig
from backtracking.config.schema import ExperimentConfig
from backtracking.measurements.events import EventReader, write_events
from backtracking.mechanism.study import Study
from backtracking.model.loading import LoadedModel
from backtracking.run import io
from backtracking.run.paths import RunPaths
from backtracking.run.records import GenerationRecord
from backtracking.stages.base import RunContext
from backtracking.stages.init_run import new_meta
from backtracking.stages.phase1.bench import open_bench
from backtracking.stages.phase1.onset_study import STUDY_KEYS, open_study
from backtracking.text.tokenization import TokenMap

VARIANT = "baseline_think_newline"
WORDS = [f" {first}{second}" for first in "bdfglmnprt" for second in ("ana", "oro")]
PIECES = [
    "<pad>", "<bos>", "<eos>", ".", "\n", " Wait", "Wait", " wait", " Actually", " So", " Then",
    " But", " Hold", " on", " glitch", " clean",
    *(f" {digit}" for digit in range(10)), " +", " =", " Tom", " Anna", *WORDS,
]  # fmt: skip
ID = {piece: index for index, piece in enumerate(PIECES)}
WAIT, ACTUALLY, STOP, GLITCH, CLEAN = (
    ID[piece] for piece in (" Wait", " Actually", ".", " glitch", " clean")
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Whole pieces, no merges: what stands in the list is one token, and longer ones come first."""
    backend = Tokenizer(models.WordLevel(ID, unk_token="<pad>"))
    pattern = "|".join(re.escape(piece) for piece in sorted(PIECES, key=len, reverse=True))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<pad>"
    )


@dataclass(frozen=True)
class Plant:
    """Where the mechanism lies: a head (or one in each layer) finds the marker, MLPs write the onset."""

    layers: int = 6
    finder: tuple[int, int] = (1, 2)
    more_finders: tuple[tuple[int, int], ...] = ()
    writers: tuple[int, ...] = (4,)
    push: float = 8.0
    swapper: int | None = None
    """An MLP that turns " Actually", which the writers then write, into " Wait"."""
    marker: str = " glitch"
    noise: float = 0.02


HIDDEN, HEADS, HEAD_DIM = 64, 4, 16
FLAG, ONSET, SWAP = HIDDEN - 1, HIDDEN - 2, HIDDEN - 3
PLANTED = [FLAG, ONSET, SWAP]


def planted(plant: Plant, seed: int = 0) -> LoadedModel:
    """A Qwen2 that says " Wait" after a full stop when it has seen the marker, by a known route."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(PIECES),
        hidden_size=HIDDEN,
        intermediate_size=32,
        num_hidden_layers=plant.layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 1e8},
        tie_word_embeddings=False,
        eos_token_id=ID["<eos>"],
    )
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, plant.noise)
        model.model.embed_tokens.weight[:, : len(PIECES)] += torch.eye(len(PIECES))
        model.model.embed_tokens.weight[:, PLANTED] = 0.0
        model.lm_head.weight[WAIT if plant.swapper is None else ACTUALLY, ONSET] += 1.0
        _plant_habits(model)
        for layer, head in (plant.finder, *plant.more_finders):
            _plant_finder(model.model.layers[layer].self_attn, head, plant)
        for layer in plant.writers:
            _plant_writer(model.model.layers[layer].mlp, plant.push / len(plant.writers))
        if plant.swapper is not None:
            _plant_swapper(model, plant)
    return LoadedModel.wrap(model, tokenizer(), "planted")


def _plant_habits(model: Qwen2ForCausalLM) -> None:
    """Every word suggests its successor, and a full stop " So"; only the plant touches its directions."""
    words = [ID[word] for word in WORDS]
    for word, following in zip(words, [*words[1:], words[0]], strict=True):
        model.lm_head.weight[following, word] += 0.6
    model.lm_head.weight[ID[" So"], STOP] += 0.6
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[PLANTED] = 0.0
        layer.mlp.down_proj.weight[PLANTED] = 0.0


def _plant_finder(attention: torch.nn.Module, head: int, plant: Plant) -> None:
    """One head looks for the marker on the slowest rotary pair and raises the flag where it is found."""
    slow, start = HEAD_DIM // 2 - 1, head * HEAD_DIM
    attention.q_proj.bias[start + slow] += 8.0
    attention.k_proj.weight[start + slow, ID[plant.marker]] += 2.0
    attention.v_proj.weight[start] = 0.0
    # A small flag leaves the norms alone.
    attention.v_proj.weight[start, ID[plant.marker]] = 0.05 / (1 + len(plant.more_finders))
    attention.o_proj.weight[FLAG, start] += 1.0


def _plant_swapper(model: Qwen2ForCausalLM, plant: Plant) -> None:
    """Where " Actually" was written, take it back and write " Wait", as likely as that was."""
    mlp = model.model.layers[plant.swapper].mlp
    _plant_writer(mlp, 2.35 * plant.push, reads=ONSET, into=SWAP)
    # What the writer leaves at any full stop is not enough.
    mlp.gate_proj.weight[0, STOP] = -2.0
    # Two directions share the final norm, so each is read about a root of two weaker than one alone.
    model.lm_head.weight[WAIT, SWAP] += 1.36
    model.lm_head.weight[ACTUALLY, SWAP] -= 1.0


def _plant_writer(mlp: torch.nn.Module, push: float, reads: int = FLAG, into: int = ONSET) -> None:
    """Writes a direction where the flag (or another direction) is up and a full stop was read."""
    mlp.gate_proj.weight[0] = 0.0
    mlp.up_proj.weight[0] = 0.0
    mlp.down_proj.weight[:, 0] = 0.0
    mlp.gate_proj.weight[0, reads] = 7.5
    mlp.up_proj.weight[0, STOP] = 0.2
    mlp.down_proj.weight[into, 0] = push / 40


def random_model(seed: int = 0, layers: int = 4, **changes: object) -> LoadedModel:
    """A small Qwen2 with random weights, large enough to make components matter."""
    torch.manual_seed(seed)
    options = {
        "vocab_size": len(PIECES), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": layers,
        "num_attention_heads": 4, "num_key_value_heads": 2, "eos_token_id": ID["<eos>"],
        "initializer_range": 0.3,
    }  # fmt: skip
    return LoadedModel.wrap(
        Qwen2ForCausalLM(Qwen2Config(**{**options, **changes})).eval(), tokenizer(), "random"
    )


@dataclass
class Rows:
    """Writes completions in which the marker decides whether an onset comes."""

    problems: int = 12
    samples: int = 4
    seed: int = 0
    records: list[GenerationRecord] = field(default_factory=list)

    def build(self) -> list[GenerationRecord]:
        rng = random.Random(self.seed)
        for problem in range(self.problems):
            prompt = [ID["<bos>"], *self._words(rng, 4 + problem % 3)]
            for sample in range(self.samples):
                self.records.append(self._row(rng, problem, sample, prompt, onset=sample < self.samples // 2))
        return self.records

    def _words(self, rng: random.Random, count: int) -> list[int]:
        return [ID[rng.choice(WORDS)] for _ in range(count)]

    def _row(
        self, rng: random.Random, problem: int, sample: int, prompt: list[int], *, onset: bool
    ) -> GenerationRecord:
        first = [*self._words(rng, rng.randint(2, 5)), STOP]
        second = self._words(rng, rng.randint(4, 6))
        second.insert(rng.randint(1, 3), GLITCH if onset else CLEAN)
        tail = [WAIT] if onset else [ID[" So"]]
        rest = [*self._words(rng, 6), STOP, *self._words(rng, 6), STOP, ID["<eos>"]]
        ids = [*first, *second, STOP, *tail, *rest]
        text = "".join(PIECES[token] for token in ids if PIECES[token] != "<eos>")
        return make_record(f"p{problem:02d}", sample, prompt, ids, text)


def make_record(problem: str, sample: int, prompt: list[int], ids: list[int], text: str) -> GenerationRecord:
    """A finished baseline row."""
    return GenerationRecord(
        example_id=problem,
        sample_id=sample,
        variant=VARIANT,
        condition="baseline",
        prompt="",
        prompt_ids=prompt,
        completion=text,
        completion_ids=ids,
        finish_reason="stop",
        prompt_tokens=len(prompt),
        completion_tokens=len(ids),
        gen_params={},
        seed_key=f"{problem}/{sample}",
    )


def write_run(
    folder: Path, loaded: LoadedModel, records: list[GenerationRecord], **analysis: object
) -> RunContext:
    """A run folder with generations and events, open for the mechanism stages."""
    config = ExperimentConfig.model_validate({"analysis": {"problems": "all", **analysis}})
    loaded_config = LoadedConfig(config=config, source="test")
    paths = RunPaths(folder / "runs", "test")
    io.write_jsonl(GENERATIONS.path(paths, variant=VARIANT, condition="baseline"), records)
    gold = {record.example_id: "1" for record in records}
    reader = EventReader(config.detection, config.prompting, TokenMap(loaded.tokenizer), gold)
    write_events(records, reader, EVENTS.path(paths), ONSETS.path(paths))
    return RunContext(
        loaded=loaded_config,
        paths=paths,
        meta=new_meta("test", loaded_config),
        load=lambda _: loaded,
    )


def open_weighed(ctx: RunContext) -> Study:
    """The study of a run, with how phrases go on at each of its positions."""
    bench = open_bench(ctx, "study", "study", STUDY_KEYS)
    return open_study(ctx, VARIANT, bench).weighed(bench)
