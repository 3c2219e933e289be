"""An arm of a `backtracking` run on a plain transformers model; takes torch, transformers, safetensors.

    from apply_arm import AppliedArm

    with AppliedArm(model) as arm:
        model.generate(**inputs, do_sample=False, logits_processor=arm.logits_processors)

What is generated inside the `with` is generated under the arm. Rows of a batch are padded on the left, as
always for generation. `arm.json` says what is done to which modules; `vectors.safetensors` has the vectors.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LogitsProcessorList

FOLDER = Path(__file__).parent
Change = Callable[[Tensor, Tensor, Tensor], Tensor]


def _mean(output: Tensor, strength: Tensor, vector: Tensor) -> Tensor:
    return torch.where(strength > 0, vector.to(output.dtype), output)


def _project(output: Tensor, strength: Tensor, unit: Tensor) -> Tensor:
    return output - strength * (output * unit).sum(-1, keepdim=True) * unit


CHANGES: dict[str, Change] = {
    "scale": lambda output, strength, _: output * strength,
    "mean": _mean,
    "add": lambda output, strength, vector: output + strength * vector,
    "project": _project,
}
"""What each mode makes of a module's output."""


class AppliedArm:
    """An arm on a model, from `with` to its end."""

    def __init__(self, model: Any, folder: str | Path = FOLDER) -> None:
        self.model = model
        self.spec = json.loads((Path(folder) / "arm.json").read_text(encoding="utf-8"))
        config, shape = model.config.get_text_config(), self.spec["model"]
        given = [config.model_type, config.num_hidden_layers, config.hidden_size]
        if given != (wanted := [shape["model_type"], shape["layers"], shape["hidden_size"]]):
            raise ValueError(f"the arm is for {wanted} (type, layers, width), the model is {given}")
        file = Path(folder) / "vectors.safetensors"
        self.vectors = load_file(file, device=str(model.device)) if file.exists() else {}
        self.ids = torch.zeros(0, 0, dtype=torch.long)
        """All tokens of the rows so far."""
        self.prompt_length = 0
        self._begin = 0
        self._handles: list[Any] = []
        suppressed = self.spec["suppressed"]
        self.logits_processors = LogitsProcessorList([_Bans(self, suppressed)] if suppressed else [])
        """For `model.generate(logits_processor=...)`: what the arm never lets a row say; mostly empty."""

    def __enter__(self) -> "AppliedArm":
        self.ids, self.prompt_length = torch.zeros(0, 0, dtype=torch.long), 0
        self._handles = [self.model.register_forward_pre_hook(self._see, with_kwargs=True)]
        for change in self.spec["changes"]:
            self._handles.append(self._hook(change, self.model.get_submodule(change["module"])))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, change: dict[str, Any], module: nn.Module) -> Any:
        """Act on a module's output; on a single head before the projection that mixes the heads."""
        if change["slice"] is None:

            def after(_: nn.Module, __: Any, output: Any) -> Any:
                if isinstance(output, tuple):
                    return (self._changed(change, output[0]), *output[1:])
                return self._changed(change, output)

            return module.register_forward_hook(after)

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            heads = inputs[0].clone()
            part = slice(*change["slice"])
            heads[..., part] = self._changed(change, heads[..., part])
            return (heads, *inputs[1:])

        return module.register_forward_pre_hook(before)

    def _changed(self, change: dict[str, Any], output: Tensor) -> Tensor:
        """The output where the arm acts; elsewhere with the strength that changes nothing."""
        acts = self._acts(change["when"])
        if not acts.any():
            return output
        strength = torch.where(acts, change["strength"], change["neutral"])[..., None].to(output.device)
        vector = self.vectors.get(change["vector"], output)
        if change["unit"]:
            vector = vector / vector.norm()
        return CHANGES[change["mode"]](output, strength, vector).to(output.dtype)

    def _see(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note which positions of the rows a call of the model covers."""
        ids = (args[0] if args else kwargs["input_ids"]).detach().cpu()
        cache = kwargs.get("past_key_values")
        self._begin = 0 if cache is None else int(cache.get_seq_length())
        if self._begin:
            self.ids = torch.cat([self.ids, ids], dim=1)
            return
        goes_on = cache is None and self.ids.numel() and torch.equal(ids[:, :-1], self.ids)
        self.ids = ids
        if not goes_on:
            self.prompt_length = ids.shape[1]

    def _acts(self, when: dict[str, Any]) -> Tensor:
        """At which positions of this call: [rows, positions]."""
        tokens = self.ids[:, self._begin :]
        places = torch.arange(self._begin, self.ids.shape[1])
        steps = (places - self.prompt_length + 1).clamp(min=0).expand(tokens.shape)
        acts = torch.ones(tokens.shape, dtype=torch.bool)
        if when["phase"] != "all":
            acts &= (steps > 0) == (when["phase"] == "decode")
        if when["steps"] is not None:
            acts &= torch.isin(steps, torch.tensor(when["steps"]))
        if when["after_tokens"] is not None:
            acts &= torch.isin(tokens, torch.tensor(when["after_tokens"]))
        if when["onset"] != "any":
            acts &= self._onset_seen() == (when["onset"] == "from_first")
        return acts

    def _onset_seen(self) -> Tensor:
        """Whether a row has completed an onset phrase, up to and including each position of this call."""
        said = self.ids[:, self.prompt_length :]
        ends = torch.zeros(self.ids.shape, dtype=torch.bool)
        for phrase in map(torch.tensor, self.spec["onset_phrases"]):
            length = len(phrase)
            if said.shape[1] >= length:
                is_phrase = (said.unfold(1, length, 1) == phrase).all(-1)
                ends[:, self.prompt_length + length - 1 :] |= is_phrase
        return ends.cumsum(1)[:, self._begin :] > 0


class _Bans:
    """Makes impossible what the arm never lets a row say: tokens, and pieces that would complete a phrase."""

    def __init__(self, arm: AppliedArm, suppressed: dict[str, Any]) -> None:
        self.arm = arm
        self.always: list[int] = suppressed["always"]
        self.behind: list[tuple[str, list[int]]] = suppressed["behind"]
        self.texts: list[str] = suppressed["texts"]
        self.longest: int = suppressed["longest"]

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.clone()
        for row, said in enumerate(ids[:, self.arm.prompt_length :].tolist()):
            text = self._end_of(said)
            banned = [token for start, tokens in self.behind if _begins(text, start) for token in tokens]
            scores[row, [*self.always, *banned]] = -torch.inf
        return scores

    def _end_of(self, said: list[int]) -> str:
        """The last characters of what a row said, as many as a phrase and the one before it."""
        text = ""
        while said and len(text) <= self.longest and self.texts:
            token = said[-1]
            said = said[:-1]
            text = (self.texts[token] if token < len(self.texts) else "") + text
        return text


def _begins(text: str, start: str) -> bool:
    """Whether a text ends in the start of a phrase, no letter before it."""
    return text.endswith(start) and not text[: len(text) - len(start)][-1:].isalpha()
