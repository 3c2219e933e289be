"""What is served, to whom, and what an exported page is made of."""

import http.client
import json
import re
import sys
from urllib.parse import urlparse

import pytest

from backtracking.cli import main
from backtracking.errors import UserError
from backtracking.explore import export as exporting
from backtracking.explore.page import asset, asset_names, bundle, whole_page
from backtracking.explore.queries import Query, matching_rows
from backtracking.explore.server import listen, require_server
from tests.explore.conftest import type_command


def ask(address: str, path: str = "/", **headers: str):
    """Status, headers and body of one request, with any headers."""
    place = urlparse(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_pages_and_rows_are_served_with_a_strict_policy(address, explorer):
    for path, kind in (
        ("/", "text/html"),
        ("/assets/main.js", "text/javascript"),
        ("/api/index", "application/json"),
    ):
        status, headers, _ = ask(address, path)
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    status, _, body = ask(address, "/api/row/3")
    assert json.loads(body) == json.loads(json.dumps(explorer.row_json(3)))


@pytest.mark.parametrize(
    "path",
    ["/assets/index.html", "/assets/..%2Fserver.py", "/assets/%2e%2e/page.py", "/runs", "/api/row/999999",
     "/api/row/-1", "/api/row/x", "/../../../etc/passwd", "/meta.json"],
)  # fmt: skip
def test_nothing_else_is_served(address, path):
    assert ask(address, path)[0] in (404, 405)


def test_other_hosts_and_origins_are_refused(address):
    port = urlparse(address).port
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        assert ask(address, "/api/index", **headers)[0] == 403, headers
    for headers in ({}, {"Host": f"localhost:{port}"}, {"Origin": f"http://127.0.0.1:{port}"}):
        assert ask(address, "/api/index", **headers)[0] == 200, headers


def test_a_link_from_elsewhere_opens_the_shell_and_nothing_more(address):
    port = urlparse(address).port
    visit = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(address, "/", **visit)[0] == 200
    assert ask(address, "/api/index", **visit)[0] == 403
    for headers in (
        {**visit, "Sec_Fetch_Dest": "iframe"},
        {**visit, "Sec_Fetch_Mode": "no-cors"},
        {**visit, "Host": f"evil.example:{port}"},
        {**visit, "Origin": "http://evil.example"},
    ):
        assert ask(address, "/", **headers)[0] == 403, headers


def test_a_taken_port_and_a_missing_extra_are_told(monkeypatch):
    with listen(0) as bound, pytest.raises(UserError, match="cannot be used"):
        listen(bound.getsockname()[1])
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match="needs uvicorn") as told:
        require_server()
    assert "pip install 'backtracking[explore]'" in str(told.value)


def test_a_run_without_completions_is_told_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    type_command("init-run", "-c", "demo")
    monkeypatch.setattr(sys, "argv", ["backtracking", "explore", "demo", "--export", "page.html"])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "has no completions to read" in said and "generate" in said


def test_modules_become_one_program_with_every_name_once():
    program = bundle()
    assert not re.search(r"^(import|export) ", program, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|const|class) (\w+)", program, re.MULTILINE)
    assert sorted(names) == sorted(set(names))
    own = {name for name in asset_names() if name.endswith(".js")}
    assert all(asset(name).splitlines()[-1] in program for name in own), "a module that no other imports"


def test_no_module_writes_markup_or_runs_text():
    for name in asset_names():
        for banned in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "://",
        ):
            assert banned not in asset(name).replace('"http://www.w3.org/2000/svg"', ""), (
                f"{banned} in {name}"
            )


def test_what_a_model_wrote_cannot_end_the_data():
    page = whole_page({"said": "</script><script>alert(1)</script><!-- \u2028 \ud800 \0"})
    assert page.count("<script") == page.count("</script") == 2
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(inside)["said"].startswith("</script><script>alert(1)")


def test_an_exported_page_holds_the_rows_with_their_baselines(explorer, tmp_path):
    index = explorer.index
    chosen = matching_rows(
        index, Query.parse("#rows?run=demo-phase2&arm=no_trigger_tokens&answer=wrong", index)
    )
    done = exporting.export(explorer, tmp_path / "page.html", chosen)
    data = embedded(tmp_path / "page.html")
    names = {tuple(row["name"]) for row in data["rows"]}
    partners = {index.name(index.columns["baseline"][number]) for number in chosen}
    assert names == {index.name(number) for number in chosen} | partners
    assert done.rows == len(data["rows"]) == data["index"]["rows"]
    assert [row["number"] for row in data["rows"]] == list(range(done.rows))
    for number, place in enumerate(data["index"]["columns"]["baseline"]):
        assert (place >= 0) == (data["rows"][number]["pair"] is not None)


def test_a_page_stays_within_its_size_and_spreads_over_problems(explorer, tmp_path):
    fixed = exporting.export(explorer, tmp_path / "none.html", []).size
    for largest in (fixed * 2, fixed * 4):
        done = exporting.export(explorer, tmp_path / "page.html", range(len(explorer.index)), largest)
        assert (tmp_path / "page.html").stat().st_size == done.size <= largest
        assert 0 < done.rows < done.chosen == len(explorer.index)
        names = [row["name"] for row in embedded(tmp_path / "page.html")["rows"]]
        assert len({name[3] for name in names}) == min(done.rows, 10)
    assert {name[0] for name in names} == {"demo", "demo-phase2"}


def embedded(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1])


def test_the_command_writes_one_page(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    type_command(
        "explore", "demo", "--export", "page.html", "--rows", "#rows?arm=baseline&answer=wrong", "--quiet"
    )
    rows = embedded(folder / "page.html")["rows"]
    assert f"page.html: {len(rows)} completions" in capsys.readouterr().out
    assert {row["name"][2] for row in rows} == {"baseline"} and {row["answer"]["right"] for row in rows} == {
        False
    }
