"""Keyword arguments as config sections: the same keys, defaults and checks as in a config file."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from backtracking.config.base import Section
from backtracking.config.mistakes import complaints
from backtracking.errors import UserError

S = TypeVar("S", bound=Section)


def checked(
    section: type[S], given: Mapping[str, Any], where: str, called: Mapping[str, str] | None = None
) -> S:
    """A section with the given keys; all mistakes are told at once, by what the keys are `called` here."""
    try:
        return section.model_validate(dict(given))
    except ValidationError as error:
        raise refusal(error, section, where, called) from None


def refusal(
    error: ValidationError, schema: type[BaseModel], where: str, called: Mapping[str, str] | None = None
) -> UserError:
    """The mistakes of a record or section, in the words that a config's are told in."""
    told = complaints(error, schema, called)
    mistakes = [f"{key}: {' or '.join(said)}" if key else "; ".join(said) for key, said in told.items()]
    return UserError(
        f"{where}: {mistakes[0]}",
        "; ".join(mistakes[1:]),
        "docs/api.md and docs/config.md say what goes here",
    )


def as_section(
    section: type[S],
    given: "S | Mapping[str, Any] | None",
    where: str,
    base: S | None = None,
    called: Mapping[str, str] | None = None,
) -> S:
    """A section as given, or its keys over those of a base."""
    if isinstance(given, section):
        return given
    if not isinstance(given, Mapping | None):
        raise UserError(
            f"{where}: {given!r} is not a mapping of keys", next_step=f"give a mapping with keys of {where}"
        )
    own: Mapping[str, Any] = given or {}
    return checked(section, {**(base.model_dump() if base else {}), **own}, where, called)
