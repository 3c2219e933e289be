"""A model's folder reaches a machine that lacks it whole, and once."""

import tempfile

from backtracking.engine.executor.weights import packed, unpacked
from backtracking.run.provenance import folder_digest


def test_a_folder_is_sent_once(tmp_path, monkeypatch):
    folder, there = tmp_path / "model", tmp_path / "there"
    (folder / "inner").mkdir(parents=True)
    there.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "inner/weights").write_bytes(bytes(range(256)) * 1000)
    store, fetched = [], []

    def put(data):
        store.append(data)
        return len(store) - 1

    def get(reference):
        fetched.append(reference)
        return store[reference]

    files = packed(folder, put)
    monkeypatch.setattr(tempfile, "tempdir", str(there))
    first = unpacked(files, get)
    assert first.parent == there
    assert folder_digest(first) == folder_digest(folder) == files.digest
    assert unpacked(files, get) == first
    assert sorted(fetched) == [0, 1]
