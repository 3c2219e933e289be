"""The ledger of a run: how often every intervention was called, applied and skipped."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtracking.interventions import Condition, When
from backtracking.model.schedule import times_active
from backtracking.run.records import GenerationRecord
from backtracking.text.onsets.triggers import Phrase

Key = tuple[str, int, str]
"""Condition, layer, component."""


def label(name: str, draw: int | None) -> str:
    """A condition's name, with its draw where there are several."""
    return name if draw is None else f"{name}#{draw}"


def condition_label(condition: Condition) -> str:
    """What a condition is called in the ledger."""
    return label(condition.name, condition.draw)


@dataclass
class Ledger:
    """Counts of one run; a call is one forward pass of one row through one intervened module."""

    enabled: bool = True
    called: Counter[Key] = field(default_factory=Counter)
    applied: Counter[Key] = field(default_factory=Counter)
    sequence_lengths: Counter[int] = field(default_factory=Counter)
    expected_called: Counter[Key] = field(default_factory=Counter)
    expected_applied: Counter[Key] = field(default_factory=Counter)

    def record(self, key: Key, called: int, applied: int, sequence_length: int) -> None:
        """Counts calls of one intervened module, and how many of them were changed."""
        if self.enabled and called:
            self.called[key] += called
            self.applied[key] += applied
            self.sequence_lengths[sequence_length] += called

    def add(self, other: "Ledger") -> None:
        """Take in the counts of another ledger."""
        for key, called in other.called.items():
            if self.enabled:
                self.called[key] += called
                self.applied[key] += other.applied[key]
        self.sequence_lengths.update(other.sequence_lengths if self.enabled else {})

    def take(self) -> "Ledger":
        """The counts so far, which begin anew here."""
        taken = Ledger(self.enabled, *(counter.copy() for counter in self._counters))
        self.reset()
        return taken

    def reset(self) -> None:
        """Begins again at nothing."""
        for counter in self._counters:
            counter.clear()

    @property
    def _counters(self) -> tuple[Counter[Any], ...]:
        return (
            self.called,
            self.applied,
            self.sequence_lengths,
            self.expected_called,
            self.expected_applied,
        )

    @property
    def total_calls(self) -> int:
        """Calls of intervened modules, changed or not."""
        return self.called.total()

    @property
    def ablation_calls(self) -> int:
        """Calls whose output was changed."""
        return self.applied.total()

    @property
    def skipped_calls(self) -> int:
        """Calls that the schedule let pass unchanged."""
        return self.total_calls - self.ablation_calls

    def as_dict(self) -> dict[str, Any]:
        """The content of `hook_debug.json`."""
        by_layer: dict[str, dict[str, Any]] = {}
        by_condition: dict[str, dict[str, Any]] = {}
        for condition, layer, component in sorted(self.called):
            key = (condition, layer, component)
            entries = (
                by_layer.setdefault(str(layer), {}).setdefault(component, _zeros()),
                by_condition.setdefault(condition, {}).setdefault(f"{component}_{layer}", _zeros()),
            )
            for entry in entries:
                entry["total_calls"] += self.called[key]
                entry["ablation_calls"] += self.applied[key]
                entry["skipped_calls"] += self.called[key] - self.applied[key]
        return {
            "total_calls": self.total_calls,
            "ablation_calls": self.ablation_calls,
            "skipped_calls": self.skipped_calls,
            "seq_len_distribution": {str(n): self.sequence_lengths[n] for n in sorted(self.sequence_lengths)},
            "by_layer": {layer: by_layer[layer] for layer in sorted(by_layer, key=int)},
            "by_condition": by_condition,
        }

    def write(self, path: Path) -> None:
        """Writes the counts as JSON, in the form of `hook_debug.json`."""
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")

    def expect(
        self, record: GenerationRecord, condition: Condition, phrases: Collection[Phrase] = ()
    ) -> None:
        """Add what this finished row must have cost; a row's last token is not fed back."""
        failed = record.finish_reason == "error"
        fed_ids = record.completion_ids if failed else record.completion_ids[:-1]
        self.expect_passes(condition, record.prompt_ids, fed_ids, phrases)

    def expect_passes(
        self,
        condition: Condition,
        prompt_ids: Sequence[int],
        fed_ids: Sequence[int],
        phrases: Collection[Phrase] = (),
    ) -> None:
        """Add what one pass over a prompt and one over each token fed back must have cost."""
        times: dict[When, int] = {}
        for intervention in condition.interventions if self.enabled else ():
            when = intervention.when
            if when not in times:
                times[when] = times_active(when, prompt_ids, fed_ids, phrases)
            key = (condition_label(condition), intervention.layer, intervention.component)
            self.expected_called[key] += 1 + len(fed_ids)
            self.expected_applied[key] += times[when]

    def differences(self) -> list[str]:
        """Where the counts depart from what finished rows must have cost; empty when the run did as asked."""
        return [
            f"{key[0]} {key[2]}_{key[1]}: called {self.called[key]} (expected {self.expected_called[key]}), "
            f"applied {self.applied[key]} (expected {self.expected_applied[key]})"
            for key in sorted(set(self.called) | set(self.expected_called))
            if self.called[key] != self.expected_called[key]
            or self.applied[key] != self.expected_applied[key]
        ]

    def verify(self) -> None:
        """After a whole run: raise unless everything was applied exactly as often as scheduled."""
        if wrong := self.differences():
            raise RuntimeError("interventions were not applied as scheduled:\n  " + "\n  ".join(wrong))


def _zeros() -> dict[str, int]:
    return {"total_calls": 0, "ablation_calls": 0, "skipped_calls": 0}
