"""Faults of the model itself, wherever it is loaded: no numbers, no memory, a tokenizer of another."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backtracking.run.bundled import bundled_folder

FEWER_TOKENS = 200
OUT_OF_MEMORY = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"


def poison(call: int, value: float) -> None:
    """From its `call`-th call on the last block's MLP puts out `value`."""

    def hook(number: int, output: Any) -> Any:
        return output * value if number >= call else output

    _hook_all_models(hook)


def exhaust(call: int, *, once: bool) -> None:
    """At its `call`-th call memory runs out: only then, or from then on."""

    def hook(number: int, output: Any) -> Any:
        if number == call or (number > call and not once):
            raise RuntimeError(OUT_OF_MEMORY)
        return output

    _hook_all_models(hook)


def _hook_all_models(act: Callable[[int, Any], Any]) -> None:
    """Let `act` see all outputs of the last MLP of every model that is loaded from now on, by workers too."""
    from backtracking.engine.executor import on_ray, worker

    class FaultyWorker(worker.Worker):
        def load(self, sent: Any = None) -> Any:
            _hook_models(act)
            return super().load(sent)

    on_ray.Worker = FaultyWorker
    _hook_models(act)


def _hook_models(act: Callable[[int, Any], Any]) -> None:
    """The same of this process alone."""
    from backtracking.engine.executor import worker
    from backtracking.model import loading

    load, calls = loading.load_model, iter(range(1, 10**9))

    def loaded_with_hook(*args: Any, **kwargs: Any) -> Any:
        loaded = load(*args, **kwargs)
        loaded.blocks[-1].mlp.register_forward_hook(lambda _, __, output: act(next(calls), output))
        return loaded

    loading.load_model = worker.load_model = loaded_with_hook


def mix(folder: Path) -> None:
    """A model folder whose weights know fewer tokens than the tokenizer beside them."""
    from transformers import AutoModelForCausalLM

    whole = bundled_folder("bundled")
    assert whole is not None
    model = AutoModelForCausalLM.from_pretrained(whole)
    model.resize_token_embeddings(FEWER_TOKENS)
    model.save_pretrained(folder)
    for path in [*whole.glob("*token*"), *whole.glob("*.jinja")]:
        shutil.copyfile(path, folder / path.name)
