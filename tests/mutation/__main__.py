"""Change the code here and there, run the nearest tests, and count who noticed.

    pip install mutmut
    python -m tests.mutation [AREA ...] [--sample 60] [--seed 0]

Of each area a random sample of mutants is tried. Words are left alone: a message may be put otherwise.
What survives is shown as a difference, to be read: killed by a new test, or no change of what is computed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutation.areas import AREAS, Area

REPO = Path(__file__).resolve().parents[2]
LEFT = {"runs", "figures", "site", "mutants"}
"""Of the project's folder; what begins with a dot stays as well."""
CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")
RUNNER = Path(__file__).with_name("runner.py")


def main() -> None:
    """Each area in a process of its own, then the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("areas", nargs="*", help=f"of {', '.join(AREAS)}; all when left out")
    parser.add_argument("--sample", type=int, default=60, help="mutants per area")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if unknown := set(asked.areas) - set(AREAS):
        parser.error(f"no area {', '.join(sorted(unknown))}; choose of {', '.join(AREAS)}")
    table = ["| area | mutants | tried | noticed |", "|---|---|---|---|"]
    for name in asked.areas or AREAS:
        found = tried(AREAS[name], asked.sample, asked.seed)
        survivors = [mutant for mutant in found["mutants"] if mutant["state"] in ("survived", "no tests")]
        for mutant in (mutant for mutant in found["mutants"] if mutant["difference"]):
            print(f"\n{mutant['state']}: {mutant['name']}\n{mutant['difference']}")
        count = len(found["mutants"])
        noticed = count - len(survivors)
        table.append(f"| {name} | {found['of']:,} | {count} | {noticed} ({noticed / max(1, count):.0%}) |")
        print(table[-1], flush=True)
    print("\n" + "\n".join(table))


def beside() -> list[Path]:
    """What belongs to the project."""
    return [path for path in sorted(REPO.iterdir()) if path.name[0] != "." and path.name not in LEFT]


def tried(area: Area, sample: int, seed: int) -> dict:
    """What became of a sample of an area's mutants, in a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        copy.mkdir()
        for path in beside():
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, copy / path.name, ignore=CACHES, symlinks=True)
            else:
                shutil.copy2(path, copy / path.name, follow_symlinks=False)
        (copy / "setup.cfg").write_text(settings(area))
        command = [sys.executable, str(RUNNER), str(sample), str(seed)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
        # Each mutant is a fork, where threads that a test began before would be waited for in vain.
        environment |= {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
        log = copy / "mutation.log"
        with log.open("w") as out:
            done = subprocess.run(command, check=False, cwd=copy, env=environment, stdout=out, stderr=out)
        if done.returncode or not (copy / "found.json").exists():
            raise SystemExit(log.read_text(errors="replace")[-3000:])
        return json.loads((copy / "found.json").read_text())


def settings(area: Area) -> str:
    """What mutmut reads."""
    lists = {
        "only_mutate": [f"src/backtracking/{module}" for module in area.modules],
        "also_copy": [path.name for path in beside() if path.name not in ("src", "tests")],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in area.tests],
        "pytest_add_cli_args": ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"],
    }
    lines = [
        "[mutmut]",
        "source_paths=src/",
        "use_git_change_detection=false",
        "timeout_constant=5",
        "timeout_multiplier=4",
    ]
    for key, values in lists.items():
        lines += [f"{key}=", *(f"    {value}" for value in values)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
