"""Keyword arguments as config sections: the same keys, defaults and checks as in a config file."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from backtracking.config.base import Section
from backtracking.errors import UserError

S = TypeVar("S", bound=Section)


def checked(
    section: type[S], given: Mapping[str, Any], where: str, called: Mapping[str, str] | None = None
) -> S:
    """A section with the given keys; all mistakes are told at once, by what the keys are `called` here."""
    try:
        return section.model_validate(dict(given))
    except ValidationError as error:
        keys = ", ".join((called or {}).get(key, key) for key in section.model_fields)
        raise settings_refusal(
            error, where, f"the keys are {keys}; docs/config.md says what they mean", called
        ) from None


def settings_refusal(
    error: ValidationError, where: str, next_step: str = "", called: Mapping[str, str] | None = None
) -> UserError:
    """The mistakes of a record or section, in words for the person."""
    places = [[(called or {}).get(str(part), str(part)) for part in one["loc"]] for one in error.errors()]
    mistakes = [": ".join([*place, one["msg"]]) for place, one in zip(places, error.errors(), strict=True)]
    return UserError(f"{where}: {mistakes[0]}", "; ".join(mistakes[1:]), next_step)


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
