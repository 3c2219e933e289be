"""Write docs/config.md from the schema of the config."""

from pathlib import Path

from backtracking.config.show import key_docs

HEAD = """# Config keys

Generated from the schema by `make docs`; `backtracking config show --explain` prints the same. Configs are
YAML; `extends: other.yaml` takes another file as base; `--set key=value` overrides any key for one command.
Sections join those of the base key by key, so subsets are added to the base's;
`replaces: phase2.subset_sweep.subsets` (or a list of keys) beside `extends` drops the base's first.
Unknown keys are refused. The resolved config, each value with where it came from, is saved in the run folder.
"""


def render() -> str:
    """The whole page."""
    lines = [HEAD]
    for doc in key_docs():
        if doc.kind == "section":
            lines += [
                f"\n## `{doc.key}`\n",
                f"{doc.text}\n",
                "| key | type | default | meaning |",
                "|---|---|---|---|",
            ]
        else:
            cells = [f"`{doc.key}`", doc.kind, f"`{doc.default}`", doc.text]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "docs" / "config.md"
    target.write_text(render(), encoding="utf-8")
