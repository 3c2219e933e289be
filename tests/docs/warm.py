"""Commands with their libraries loaded beforehand: a server that splits itself for every command.

Half of what a documented command costs here is loading torch, transformers and the stages. What stands in
for the installed script and `python` (`CLIENT`) hands its arguments, folder, environment and
terminal to this server; the copy that the server makes of itself does the command. The project is that of the
checkout, which no documented command changes; what each command loads by itself is tested elsewhere
(`tests/foundation/test_architecture.py`), and the wheel's commands start cold.

    python tests/docs/warm.py ADDRESS     # says "ready", and goes on until it is stopped
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path
from runpy import run_module, run_path
from typing import NoReturn

CLIENT = """#!{python} -IS
import json, os, socket, sys
if "--show-completion" in sys.argv:  # asks which shell has started it
    cold = "from backtracking.cli import main; main()"
    os.execv(sys.executable, [sys.executable, "-c", cold, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    sys.exit(int.from_bytes(server.recv(1) or b"\\x01", "big"))
"""


LIBRARIES = (
    "math_verify",
    "matplotlib.figure",
    "pandas",
    "scipy.stats",
    "statsmodels.stats.contingency_tables",
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.qwen2.modeling_qwen2",
    "typer",
    "backtracking.stages.plan",
)
"""What commands load."""


def serve(address: str) -> None:
    """Wait for commands; returns in the copy that is to do one, ready to do it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        os.write(1, b"ready\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            client, _ = listening.accept()
            if os.fork() == 0:
                break
            client.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with client:
        length, places, *_ = socket.recv_fds(client, 4, 3)
        asked = b""
        while len(asked) < int.from_bytes(length, "big"):
            asked += client.recv(1 << 16)
        if (command := os.fork()) > 0:
            _, status = os.waitpid(command, 0)
            client.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
            os._exit(0)
    arguments, folder, environment = json.loads(asked)
    for place, stream in enumerate(places):
        os.dup2(stream, place)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments


def obey() -> None:
    """Do what `sys.argv` says, as `python` or the installed script would."""
    match sys.argv:
        case [own, script, *rest] if script.endswith(".py"):
            sys.executable = own  # what the script starts is warm too
            sys.path.insert(0, str(Path(script).parent))
            sys.argv = [script, *rest]
            run_path(script, run_name="__main__")
        case [_, "-m", module, *rest]:
            sys.path.insert(0, str(Path.cwd()))
            sys.argv = [module, *rest]
            run_module(module, run_name="__main__", alter_sys=True)
        case [_, "-c", code]:
            sys.path.insert(0, "")
            sys.argv = ["-c"]
            exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
        case _:
            from backtracking.cli import main

            main()


def obeyed() -> int:
    """Obey, and tell the exit status; what goes wrong is shown as Python shows it."""
    try:
        obey()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(f"{stop.code}\n")
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End without taking the libraries apart: that would copy most of their memory, in half a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()  # or every copy goes through all of it once more as it ends
    serve(sys.argv[1])
    leave(obeyed())
