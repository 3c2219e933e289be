"""Every installed package with its version and licence: `python scripts/list_licences.py`."""

from importlib.metadata import Distribution, distributions

LONGEST = 40


def licence(package: Distribution) -> str:
    """What its metadata say: the expression, the classifiers, or the first line of the text."""
    about = package.metadata
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier", [])
        if line.startswith("License ::")
    ]
    stated = about.get("License-Expression") or " or ".join(classifiers) or about.get("License") or ""
    return next(iter(stated.strip().splitlines()), "not stated")[:LONGEST]


def main() -> None:
    """Print them by name."""
    found = {package.metadata["Name"]: package for package in distributions()}
    width = max(map(len, found))
    for name in sorted(found, key=str.lower):
        print(f"{name:<{width}}  {found[name].version:<16}  {licence(found[name])}")


if __name__ == "__main__":
    main()
