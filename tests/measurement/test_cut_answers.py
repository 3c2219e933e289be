"""An answer that the cap may have shortened is no answer, from the row to the table."""

import pytest

from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.measurements.events import EventReader
from backtracking.run.records import GenerationRecord
from backtracking.text.tokenization import TokenMap

MAIN = "baseline_think_newline"


@pytest.fixture(scope="session")
def measured(r1_tokenizer):
    reader = EventReader(DetectionConfig(), PromptingConfig(), TokenMap(r1_tokenizer), {"p": "12"})

    def measure(completion, finish_reason):
        ids = r1_tokenizer.encode(completion, add_special_tokens=False)
        record = GenerationRecord(
            example_id="p", sample_id=0, variant=MAIN, condition="baseline", prompt="", prompt_ids=[],
            completion=completion, completion_ids=ids, finish_reason=finish_reason, prompt_tokens=0,
            completion_tokens=len(ids), gen_params={}, seed_key="0",
        )  # fmt: skip
        return reader(record).event

    return measure


CUT = ["</think>\nThe final answer is 12", "</think>\nThe total is $12", "</think>\nSo 5 + 7 = 12"]


@pytest.mark.parametrize("completion", CUT)
@pytest.mark.parametrize("reason", ["length", "loop"])
def test_a_number_at_the_cut_might_have_gone_on(measured, completion, reason):
    """12 may be the beginning of 125: it counts where the model stopped, and not where it was stopped."""
    finished, cut = measured(completion, "stop"), measured(completion, reason)
    assert "12" in str(finished["predicted_answer"]) and finished["is_correct"] is True
    assert cut["predicted_answer"] in (None, "")
    assert cut["is_correct"] in (None, "")


def test_a_boxed_answer_was_whole_before_the_cut(measured):
    cut = measured("</think>\nThe answer is \\boxed{12}. To see wh", "length")
    assert (str(cut["predicted_answer"]), cut["is_correct"]) == ("12", True)
