"""From a problem to the exact ids that the model reads: chat template, forced assistant start, one BOS."""

import re
from itertools import combinations
from typing import Any, Protocol

from backtracking.config.schema import FormattingVariant, PromptingConfig
from backtracking.errors import UserError
from backtracking.text.tokenization import Tokenizer

_OPENED_THINKING = re.compile(r"<think>\s*(?:</think>\s*)?\Z")


class ChatTokenizer(Tokenizer, Protocol):
    """A tokenizer that may carry a chat template."""

    chat_template: Any
    bos_token: Any
    bos_token_id: Any

    def get_added_vocab(self) -> dict[str, int]:
        """Tokens that were added to the vocabulary, with their ids."""

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any:
        """The conversation as the template renders it."""


def find_variant(prompting: PromptingConfig, name: str) -> FormattingVariant:
    """The variant of that name."""
    for variant in prompting.formatting_variants:
        if variant.name == name:
            return variant
    raise UserError(
        f"unknown variant {name!r}",
        f"the config defines: {', '.join(prompting.variant_names)}",
        "pick one of these, or add it to prompting.formatting_variants",
    )


def format_prompt(question: str, config: PromptingConfig, variant: FormattingVariant | str) -> str:
    """The user's turn followed by the forced start of the answer, without any chat template."""
    chosen = find_variant(config, variant) if isinstance(variant, str) else variant
    system = f"{config.system_prompt}\n\n" if config.system_prompt else ""
    return system + _user_turn(question, config) + chosen.think_open


def render_prompt(
    question: str, prompting: PromptingConfig, variant: FormattingVariant | str, tokenizer: ChatTokenizer
) -> tuple[str, list[int]]:
    """The exact text and ids that the model sees."""
    _refuse_control_tokens(question, tokenizer)
    chosen = find_variant(prompting, variant) if isinstance(variant, str) else variant
    if prompting.use_chat_template:
        text = _chat_start(question, prompting, tokenizer) + chosen.think_open
    else:
        text = format_prompt(question, prompting, chosen)
    return _with_one_bos(text, tokenizer)


def check_variants(prompting: PromptingConfig, tokenizer: ChatTokenizer, question: str = "How many?") -> None:
    """Refuse variants that the model could not tell apart."""
    rendered = {
        variant.name: render_prompt(question, prompting, variant, tokenizer)
        for variant in prompting.formatting_variants
    }
    for (one, (text, ids)), (other, (other_text, other_ids)) in combinations(rendered.items(), 2):
        if ids == other_ids:
            raise UserError(
                f"the variants {one!r} and {other!r} render the same prompt",
                f"{one}: {text!r}\n        {other}: {other_text!r}",
                "change think_open of one of them, or remove it",
            )


def _user_turn(question: str, prompting: PromptingConfig) -> str:
    if "{question}" not in prompting.template:
        raise UserError(
            "prompting.template has no {question}",
            f"every problem would get the same prompt: {prompting.template!r}",
            "write {question} where the problem's text goes",
        )
    return prompting.template.replace("{question}", question)  # not str.format: \boxed{} is no field


def _refuse_control_tokens(question: str, tokenizer: ChatTokenizer) -> None:
    """A problem that spells a control token would be read as that token: a turn's end, or thinking begun."""
    tokens = [tokenizer.decode([i], skip_special_tokens=False) for i in tokenizer.all_special_ids]
    tokens += [name for name in tokenizer.get_added_vocab() if name[:1] == "<" and name[-1:] == ">"]
    if control := sorted({token for token in tokens if token and token in question}):
        raise UserError(
            f"a problem's text holds the control token {control[0]!r}",
            f"the model would not read it as text: {question[:80]!r}",
            "take it out of the problem, or remove the problem from the data",
        )


def _chat_start(question: str, prompting: PromptingConfig, tokenizer: ChatTokenizer) -> str:
    """The conversation up to where the assistant begins, with nothing of its turn written yet."""
    user = _user_turn(question, prompting)
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer has no chat template",
            f"prompting.use_chat_template is true; without a template the prompt would be {user!r}",
            "set prompting.use_chat_template: false for a base model",
        )
    messages = [{"role": "user", "content": user}]
    if prompting.system_prompt:
        messages.insert(0, {"role": "system", "content": prompting.system_prompt})
    turns = _apply(tokenizer, messages, add_generation_prompt=False)
    text = _apply(tokenizer, messages, add_generation_prompt=True)
    for key, part in (("system_prompt", prompting.system_prompt), ("template", user)):
        if part and part.strip() not in text:
            raise UserError(
                f"the chat template drops or changes prompting.{key}",
                f"it must hold {part!r} but renders {text!r}",
                "set prompting.system_prompt: null and put its words into prompting.template",
            )
    opening = text[len(turns) :] if text.startswith(turns) else text
    return text[: len(text) - len(opening)] + _OPENED_THINKING.sub("", opening)


def _apply(tokenizer: ChatTokenizer, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
    try:
        rendered = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except Exception as error:  # templates are programs from outside and may raise anything
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"the tokenizer's chat template refuses a conversation with roles {roles}",
            str(error),
            "set prompting.system_prompt: null if it takes no system turn, or use_chat_template: false",
        ) from error
    return str(rendered)


def _with_one_bos(text: str, tokenizer: ChatTokenizer) -> tuple[str, list[int]]:
    """Exactly one BOS where the tokenizer wants one, whoever wrote it."""
    ids = [int(token) for token in tokenizer.encode(text, add_special_tokens=False)]
    bos, bos_text = tokenizer.bos_token_id, tokenizer.bos_token
    if bos is None:
        return text, ids
    while ids[:2] == [bos, bos]:
        ids, text = ids[1:], text.removeprefix(bos_text)
    if ids[:1] != [bos] and _adds_bos(tokenizer):
        return bos_text + text, [bos, *ids]
    return text, ids


def _adds_bos(tokenizer: ChatTokenizer) -> bool:
    return list(tokenizer.encode("a", add_special_tokens=True))[:1] == [tokenizer.bos_token_id]
