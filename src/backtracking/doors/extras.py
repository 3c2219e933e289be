"""Packages that only some doors take, and what to say where one is missing."""

from importlib.util import find_spec

from backtracking.errors import UserError


def require_package(package: str, extra: str) -> None:
    """Refuse to go on without a package, and say how to get it."""
    if find_spec(package) is None:
        raise UserError(
            f"this needs the package {package}",
            f"it belongs to the extra `{extra}`, which is not installed",
            f"run: pip install 'backtracking[{extra}]'",
        )
