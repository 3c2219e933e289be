"""What all config sections share."""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, field docstrings are the help texts."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )


# Strict, since Python takes `true` for 1.
PositiveInt = Annotated[int, Strict(), Field(ge=1)]

Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]


Number = Annotated[float, Strict()]


def _report_place(value: str) -> str:
    """A report must not land on another artifact of its run, nor outside it."""
    parts = PurePosixPath(value).parts
    if parts[:1] != ("reports",) or len(parts) < 2 or ".." in parts or not value.endswith(".md"):
        raise ValueError("must be a .md file in the run's reports/, e.g. reports/findings.md")
    return value


ReportPath = Annotated[str, AfterValidator(_report_place)]


def _yes_no_word(value: Any) -> Any:
    """YAML 1.1 reads a bare `no` or `on` as a boolean; a name must stay a word."""
    if isinstance(value, bool):
        raise ValueError(f"YAML read this as the boolean {value}; put the name in quotes")
    return value


Name = Annotated[
    str, BeforeValidator(_yes_no_word), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]
