"""How quickly the explorer answers, measured in a headless Chromium: first paint, filters, a long row.

    python -P benchmarks/explore.py [--rows 15000] [--long 200]

Rows are completions of the bundled reasoner, repeated under as many arms as it takes; long ones are many of
them end to end, 8,000 tokens each. Times are medians over five looks, in milliseconds.
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page, sync_playwright

import backtracking as bt
from backtracking.artifacts.phase2 import ARM_ROWS
from backtracking.config.load import load_config
from backtracking.explore.explorer import Explorer
from backtracking.explore.server import listen, make_app
from backtracking.explore.study import MeasuredRun
from backtracking.run.io import write_jsonl
from backtracking.run.paths import RunPaths
from backtracking.run.records import GenerationRecord
from backtracking.text.tokenization import TokenMap

PROBLEMS, SAMPLES, LONG_TOKENS, LOOKS = 100, 6, 8_000, 5
WATCH = """
const note = () => { window.firstShown ??= performance.now(); };
addEventListener('DOMContentLoaded', () => new MutationObserver(note)
  .observe(document.body, { attributes: true, attributeFilter: ['data-shown'] }));
"""


def arms(rows: list[GenerationRecord], count: int) -> Iterator[tuple[str, list[GenerationRecord]]]:
    """The same rows under one arm after the other, until there are enough."""
    number = 0
    while count > 0:
        name = f"arm_{number:02}" if number else "baseline"
        yield name, [row.model_copy(update={"condition": name}) for row in rows[:count]]
        count -= len(rows)
        number += 1


def long_rows(rows: list[GenerationRecord], count: int, variant: str) -> Iterator[GenerationRecord]:
    """Rows of many completions end to end, without the tokens that end them."""
    whole = [row for row in rows if row.finish_reason == "stop"]
    for number in range(count):
        ids: list[int] = []
        text = ""
        for row in whole[number:] * 100:
            if len(ids) > LONG_TOKENS:
                break
            ids += row.completion_ids[:-1]
            text += row.completion
        more = {"sample_id": 1000 + number, "variant": variant, "completion": text, "completion_ids": ids}
        yield rows[0].model_copy(update=more | {"completion_tokens": len(ids)})


def make_study(folder: Path, rows: int, long: int) -> MeasuredRun:
    """A run folder with so many rows."""
    problems = bt.problems(PROBLEMS)
    lm = bt.load("bundled", progress=False)
    made = list(lm.generate(problems, samples=SAMPLES))
    config = load_config(Path("demo")).config
    paths = RunPaths(folder, "many")
    first, second = config.prompting.variant_names[:2]
    for name, part in arms([row.model_copy(update={"variant": first}) for row in made], rows):
        write_jsonl(ARM_ROWS.path(paths, variant=first, arm=name), part)
    write_jsonl(ARM_ROWS.path(paths, variant=second, arm="baseline"), long_rows(made, long, second))
    return MeasuredRun(paths, config, {problem.id: problem for problem in problems}, TokenMap(lm.tokenizer))


def timed(page: Page, act: str) -> float:
    """Milliseconds from an act to the page that shows what came of it, painted."""
    return float(
        page.evaluate(
            f"""async () => {{
              const frame = () => new Promise(requestAnimationFrame);
              const before = performance.now();
              {act};
              do {{ await frame(); }} while (document.body.dataset.shown !== location.hash);
              await frame();
              return performance.now() - before;
            }}"""
        )
    )


def look(page: Page, address: str) -> dict[str, float]:
    """One visit: what each thing took."""
    page.goto(address)
    page.wait_for_selector("body[data-shown]")
    found = {
        "first paint": page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
        "list of all rows": page.evaluate("window.firstShown"),
    }
    for name, facet in (
        ("filter: answer", "answer-wrong"),
        ("filter: onset", "kind-strict"),
        ("filter: after a right step", "after-right"),
    ):
        found[name] = timed(page, f"document.getElementById('{facet}').click()")
    found["filters cleared"] = timed(page, "location.hash = '#rows'")
    found["text"] = timed(page, "location.hash = '#rows?q=hold%20on'")
    found["order"] = timed(page, "location.hash = '#rows?sort=long'")
    page.evaluate("document.querySelector('.list').scrollTop = 1e7")
    found["scrolled to the end"] = timed(page, "document.querySelector('.list').scrollTop = 3e5")
    found["table of arms"] = timed(page, "location.hash = '#arms'")
    page.evaluate("location.hash = '#rows?sort=long'")
    page.wait_for_timeout(300)
    found["row of 8,000 tokens"] = timed(page, "document.querySelector('.row').click()")
    return found


def measure(explorer: Explorer) -> list[dict[str, float]]:
    """Some visits to a served explorer, each in a fresh context."""
    bound = listen(0)
    port = bound.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make_app(explorer, port), log_level="warning"))
    threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        looks = []
        for _ in range(LOOKS):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(WATCH)
            looks.append(look(page, f"http://127.0.0.1:{port}/"))
            page.close()
        browser.close()
    server.should_exit = True
    return looks


def main() -> None:
    """Make the rows, read them, look at them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--long", type=int, default=200)
    asked: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder), asked.rows, asked.long)
        before = time.process_time()
        explorer = Explorer([study])
        print(f"{len(explorer.index):,} rows read in {time.process_time() - before:.1f} s of processor time")
        looks = measure(explorer)
        explorer.close()
    for name in looks[0]:
        values = [one[name] for one in looks]
        print(f"{name:28} {statistics.median(values):7.0f} ms   ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
