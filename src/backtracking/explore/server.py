"""The explorer on this machine alone: requests are checked for where they were meant to go and come from."""

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from backtracking.errors import UserError
from backtracking.explore.explorer import Explorer
from backtracking.explore.page import SHELL, asset, asset_names, compact, policy

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
KINDS = {".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": policy(script="'self'", style="'self'", connect="'self'")
    + "; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def require_server() -> None:
    """Say how to get what serving takes, where it is not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"explore needs {error.name} to serve pages",
            "it belongs to the extra `explore`, which is not installed",
            "run: pip install 'backtracking[explore]'   (or write one page with --export FILE)",
        ) from error


class OwnPagesOnly:
    """Answers requests for this address that open its pages or come from them, and guards what it answers."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in NAMES}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answers what its own page asks; anything from another site is refused."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if self._is_own(headers) or self._is_visit(scope["path"], headers):
            await self._app(scope, receive, send)
        else:
            answer = PlainTextResponse("this address serves its own pages only\n", 403, headers=HEADERS)
            await answer(scope, receive, send)

    def _is_own(self, headers: dict[str, str]) -> bool:
        origin = headers.get("origin")
        return (
            headers.get("host") in self._hosts
            and (origin is None or origin.removeprefix("http://") in self._hosts)
            and headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        )

    def _is_visit(self, path: str, headers: dict[str, str]) -> bool:
        """Whether somebody follows a link to the pages, from a report say; the shell itself holds no row."""
        return (
            path == "/"
            and headers.get("host") in self._hosts
            and "origin" not in headers
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )


def make_app(explorer: Explorer, port: int) -> "Starlette":
    """The pages and what they ask for; nothing else of the run is served."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import Response
    from starlette.routing import Route

    def text(content: str, kind: str, status: int = 200) -> Response:
        return Response(content, status, HEADERS, media_type=kind)

    def answer(data: Any) -> Response:
        return text(compact(data), "application/json")

    def shell(_: "Request") -> "Response":
        return text(asset(SHELL), "text/html")

    def file(request: "Request") -> "Response":
        name = request.path_params["name"]
        if name not in asset_names():
            return text("no such file\n", "text/plain", 404)
        return text(asset(name), KINDS[name[name.rindex(".") :]])

    whole = compact(explorer.index_json())

    def index(_: "Request") -> "Response":
        return text(whole, "application/json")

    def row(request: "Request") -> "Response":
        number = request.path_params["number"]
        if number >= len(explorer.index):
            return text("no such row\n", "text/plain", 404)
        try:
            return answer(explorer.row_json(number))
        except UserError as error:
            return text(str(error), "text/plain", 409)

    def search(request: "Request") -> "Response":
        return answer(sorted(explorer.texts.having(request.query_params.get("q", ""))))

    routes = [
        Route("/", shell),
        Route("/assets/{name}", file),
        Route("/api/index", index),
        Route("/api/row/{number:int}", row),
        Route("/api/search", search),
    ]
    return Starlette(routes=routes, middleware=[Middleware(OwnPagesOnly, port=port)])


def listen(port: int) -> socket.socket:
    """A socket of this machine's own on a port, or word that it is taken."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((LOOPBACK, port))
        taken.listen()
    except OSError as error:
        taken.close()
        raise UserError(
            f"port {port} cannot be used: {error.strerror}",
            "another program, or another explorer, may have it",
            "choose another one with --port",
        ) from error
    return taken


def serve(explorer: Explorer, bound: socket.socket) -> None:
    """Answer until interrupted."""
    import uvicorn

    port = bound.getsockname()[1]
    config = uvicorn.Config(make_app(explorer, port), log_level="warning", server_header=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[bound])
