"""The table of faults: what each is called, and how it is inflicted."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.torture import model_faults
from tests.torture.compare import run_files
from tests.torture.executors import RAY, is_running, workers_of
from tests.torture.process import become_nobody, limit_file_size
from tests.torture.scene import Scene

EDITS = (
    "generation.temperature=0.9",
    "run.seed=1",
    "detection.triggers_strict=[but]",
    "analysis.max_events=5",
    "generation.num_samples_per_prompt=1",
)


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    how: str
    inflict: Callable[[Scene], None]
    on_a_file: bool = False
    """Whether it is done to one file of the run."""
    first_steps: int | None = None
    """Only before the first steps of a run, where it makes everything anew."""
    of_processes: bool = False
    """Whether it is about the processes of a start, which then makes its Ray for itself."""
    only_on: str | None = None
    """The one executor that can meet it."""


def killed_by(number: signal.Signals) -> Callable[[Scene], None]:
    """One to three starts that a signal ends at a random instant."""

    def inflict(scene: Scene) -> None:
        scene.lost_counts = number != signal.SIGINT
        for _ in range(scene.chance.randint(1, 3)):
            delay = scene.chance.uniform(0.05, 1.2) * scene.seconds

            def interfere(pid: int, delay: float = delay) -> None:
                time.sleep(delay)
                if number == signal.SIGINT:
                    os.killpg(pid, number)  # a terminal tells all that was started from it
                else:
                    os.kill(pid, number)

            scene.run(interfere=interfere)

    return inflict


def killed_workers(scene: Scene) -> None:
    """One to three workers are killed at random instants after the first came up."""
    delays = [scene.chance.uniform(0, 0.6) * scene.seconds for _ in range(scene.chance.randint(1, 3))]

    def interfere(pid: int) -> None:
        for delay in delays:
            while is_running(pid) and not workers_of(pid):
                time.sleep(0.1)
            time.sleep(delay)
            if workers := workers_of(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(scene.chance.choice(workers), signal.SIGKILL)

    scene.run(interfere=interfere)


def small_files(scene: Scene) -> None:
    """Nothing may grow beyond a limit that some of the step's files pass."""
    size = int(2 ** scene.chance.uniform(7, 18))
    scene.lost_counts = True
    scene.run(prepare=limit_file_size(size))


def full_disk(scene: Scene) -> None:
    """A file system of its own with less room than the step takes."""
    room = shutil.disk_usage(scene.folder).free
    scene.lost_counts = True
    (scene.folder / "filler").write_bytes(bytes(max(0, room - int(2 ** scene.chance.uniform(10, 19)))))
    scene.run()
    (scene.folder / "filler").unlink()


def read_only(scene: Scene) -> None:
    """The run folder, or one in it, permits no writing."""
    root = scene.folder / "runs"
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir()] or [scene.folder]
    some = folders if os.getuid() == 0 else [scene.chance.choice(folders)]
    for folder in some:
        folder.chmod(0o555)
    scene.run(prepare=become_nobody)
    for folder in some:
        folder.chmod(0o755)


def second_process(scene: Scene) -> None:
    """Another process begins the same while the first is at it."""
    with scene.process().started(scene.folder) as first:
        time.sleep(scene.chance.uniform(0, 1) * (scene.executor.starts_s + scene.step.seconds))
        scene.run()
        scene.said.append(first.wait())


def jumping_clock(scene: Scene) -> None:
    """The clock jumps by years while the step runs, and the files carry any date."""
    for path in scene.folder.rglob("*"):
        when = scene.chance.uniform(0, 4e9)
        os.utime(path, (when, when), follow_symlinks=False)
    scene.run(prepare=lambda: _jump(scene.chance.uniform(-1e9, 1e9)))


def _jump(seconds: float) -> None:
    ticks, monotonic = time.time, time.perf_counter
    time.time = lambda: ticks() + seconds * (int(monotonic() * 7) % 2)


def edited_config(scene: Scene) -> None:
    """The step runs under another setting first."""
    scene.run("--set", scene.chance.choice(EDITS))
    scene.run()


def moved(scene: Scene) -> None:
    """All of it is moved to a path with spaces and other scripts; a stopped start lies behind."""
    place = scene.folder.parent / scene.chance.choice(
        ["a b  c", "Größe – 測試 🌊", 'it\'s "quoted" [0]', "-rf"]
    )
    scene.folder.rename(place)
    scene.folder = place
    scene.run()


def copied(scene: Scene) -> None:
    """A copy of the run goes on under another id."""
    root, run = scene.folder / "runs", scene.step.run
    if not (root / run).exists():
        scene.process().ended(scene.folder)
    shutil.copytree(root / run, root / "copy of it".replace(" ", "-"))
    shutil.rmtree(root / run)
    (root / "copy-of-it").rename(root / run)
    scene.run()


def other_tokenizer(scene: Scene) -> None:
    """The weights of one reasoner with the tokenizer of the other."""
    model_faults.mix(scene.folder / "mixed")
    scene.run("--set", "model.hf_id=mixed")
    shutil.rmtree(scene.folder / "mixed")
    scene.run()


def nan_from_the_model(scene: Scene) -> None:
    """A block puts out NaN or infinity from a random call on."""
    call, value = scene.chance.randint(1, 60), scene.chance.choice([float("nan"), float("inf")])
    scene.run(prepare=lambda: model_faults.poison(call, value))


def out_of_memory(scene: Scene) -> None:
    """Memory runs out at a random call, once or for good."""
    call, once = scene.chance.randint(1, 60), scene.chance.random() < 0.7
    scene.run(prepare=lambda: model_faults.exhaust(call, once=once))


def damaged_by(damage: Callable[[Path, Scene], None]) -> Callable[[Scene], None]:
    """One file is damaged; the step runs alone, or after all that stand before it were looked at."""

    def inflict(scene: Scene) -> None:
        path = scene.folder / "runs" / scene.target
        kept = path.read_bytes()

        def mend() -> None:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.write_bytes(kept)

        scene.mend = mend
        damage(path, scene)
        scene.damaged = path.read_bytes() if path.is_file() else None
        # What was counted cannot be counted again; rows that are made again are counted twice.
        scene.lost_counts = path.name == "hook_debug.json" or "generations" in path.parts
        if scene.chance.random() < 0.5:
            scene.run_alone()
        else:
            scene.run()

    return inflict


def delete(path: Path, _: Scene) -> None:
    path.unlink()


def truncate(path: Path, scene: Scene) -> None:
    os.truncate(path, scene.chance.randrange(path.stat().st_size) if path.stat().st_size else 0)


def flip_a_bit(path: Path, scene: Scene) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[scene.chance.randrange(len(data))] ^= 1 << scene.chance.randrange(8)
    path.write_bytes(data)


def change_a_digit(path: Path, scene: Scene) -> None:
    data = bytearray(path.read_bytes())
    if digits := [k for k, byte in enumerate(data) if byte in b"0123456789"]:
        place = scene.chance.choice(digits)
        data[place] = ord(scene.chance.choice("0123456789".replace(chr(data[place]), "")))
    path.write_bytes(data)


def append_garbage(path: Path, scene: Scene) -> None:
    with path.open("ab") as file:
        file.write(scene.chance.randbytes(scene.chance.randint(1, 300)))


def become_a_folder(path: Path, _: Scene) -> None:
    path.unlink()
    path.mkdir()


def become_a_link(path: Path, scene: Scene) -> None:
    """To nowhere, or to a copy elsewhere."""
    elsewhere = scene.folder / "elsewhere"
    if scene.chance.random() < 0.5:
        shutil.copyfile(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


FAULTS = (
    Fault("SIGKILL", "1–3 starts killed at random instants", killed_by(signal.SIGKILL), of_processes=True),
    Fault("SIGTERM", "1–3 starts ended at random instants", killed_by(signal.SIGTERM), of_processes=True),
    Fault("Ctrl-C", "1–3 starts interrupted at random instants", killed_by(signal.SIGINT), of_processes=True),
    Fault("file-size limit", "RLIMIT_FSIZE of 128 bytes to 256 KiB", small_files),
    Fault("full disk", "a tmpfs with 1 to 512 KiB left", full_disk),
    Fault("read-only folder", "without the right to write", read_only),
    Fault("two processes", "a second start while the first runs", second_process),
    Fault("clock jumps", "by years, back and forth; files of any date", jumping_clock),
    Fault("config edited", "another setting, then the first again", edited_config, first_steps=6),
    Fault("moved", "to a path with spaces, quotes, other scripts", moved),
    Fault("copied", "a copy in the place of the run", copied),
    Fault("NaN or infinity", "from one block, from a random call on", nan_from_the_model),
    Fault("out of memory", "at a random call, once or for good", out_of_memory),
    Fault("another's tokenizer", "beside weights that it does not belong to", other_tokenizer, first_steps=3),
    Fault("file deleted", "", damaged_by(delete), on_a_file=True),
    Fault("file truncated", "at a random byte", damaged_by(truncate), on_a_file=True),
    Fault("bit flipped", "one, anywhere", damaged_by(flip_a_bit), on_a_file=True),
    Fault("digit changed", "one, anywhere", damaged_by(change_a_digit), on_a_file=True),
    Fault("garbage appended", "1 to 300 random bytes", damaged_by(append_garbage), on_a_file=True),
    Fault("folder in its place", "", damaged_by(become_a_folder), on_a_file=True),
    Fault(
        "link in its place", "to nowhere, or to a copy elsewhere", damaged_by(become_a_link), on_a_file=True
    ),
    Fault("worker killed", "1–3 of the workers, SIGKILL", killed_workers, of_processes=True, only_on=RAY),
)


def faults_on(executor: str) -> list[Fault]:
    """What can befall a run whose work is done there."""
    return [fault for fault in FAULTS if fault.only_on in (None, executor)]


def targets(scene: Scene) -> list[str]:
    """The files that can be damaged before a step, with the run that they belong to."""
    return [f"{run}/{name}" for run in ("demo", scene.step.run) for name in run_files(scene.folder, run)]


def may_mount(folder: Path, size: int) -> bool:
    """Give a folder a small file system of its own, where that is permitted."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)
