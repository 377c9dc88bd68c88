"""datasets.lock: what it says of a file, what is wrong with a line, and the digest of several files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import DATA, needs_data

from assay.errors import DatasetError
from assay.lock import LOCK, Pin, combined, read_lock, sha256, verify, write

A = hashlib.sha256(b"a").hexdigest()
B = hashlib.sha256(b"b").hexdigest()


def test_our_own_lock() -> None:
    lock = read_lock()
    assert len(lock.files) > 2000
    assert all(len(pin.sha256) == 64 and len(pin.commit) == 40 for pin in lock.files.values())
    assert all(len(commit) == 40 for commit in lock.revisions.values())
    gsm8k = lock.files["gsm8k/test.jsonl"]
    assert gsm8k.url.startswith("https://raw.githubusercontent.com/openai/grade-school-math/")
    assert not [name for name in lock.files if name.startswith("/") or ".." in Path(name).parts]


def test_a_url_is_quoted() -> None:
    pin = Pin("set/a b.csv", A, 1, "owner/repo", "c0ffee", "dir/a b#é.csv")
    assert pin.url == "https://raw.githubusercontent.com/owner/repo/c0ffee/dir/a%20b%23%C3%A9.csv"
    assert Pin("set/a.csv", A, 1).url == ""


def test_a_catalogue_has_a_lock_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "datasets.lock").write_text(f"# mine\n\nmine/a.csv\t{A}\t1\nhub:me/set\tc0ffee\n")
    lock = read_lock([tmp_path])
    assert lock.files["mine/a.csv"] == Pin("mine/a.csv", A, 1)
    assert lock.revisions["me/set"] == "c0ffee"
    assert "gsm8k/test.jsonl" in lock.files


def test_two_locks_may_not_want_different_things(tmp_path: Path) -> None:
    same = read_lock().files["gsm8k/test.jsonl"]
    (tmp_path / "datasets.lock").write_text(same.line + "\n")
    assert read_lock([tmp_path]).files["gsm8k/test.jsonl"] == same
    (tmp_path / "datasets.lock").write_text(f"gsm8k/test.jsonl\t{A}\t1\n")
    with pytest.raises(DatasetError, match=r"pins gsm8k/test\.jsonl to another SHA-256"):
        read_lock([tmp_path])


@pytest.mark.parametrize(
    "line", ["a.csv", f"a.csv\t{A}", f"a.csv\t{A}\tmany", f"a.csv {A} 1", "hub:a/b", f"a\t{A}\t1\tr"]
)
def test_a_line_that_is_wrong(tmp_path: Path, line: str) -> None:
    (tmp_path / "datasets.lock").write_text(f"b.csv\t{B}\t1\n{line}\n")
    with pytest.raises(DatasetError, match=r"datasets\.lock, line 2: wanted path, SHA-256"):
        read_lock([tmp_path])


def test_a_digest_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    assert sha256(path) == A
    path.write_bytes(b"bb")
    assert sha256(path) == hashlib.sha256(b"bb").hexdigest()


def test_verify_says_what_came(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    assert verify(path, Pin("set/a", A, 1)) == A
    with pytest.raises(DatasetError) as caught:
        verify(path, Pin("set/a", B, 3))
    for part in (str(path), "set/a", A, B, "3 bytes", "1 bytes"):
        assert part in str(caught.value)


def test_one_digest_for_several_files() -> None:
    assert combined([("a", A)]) == A
    both = combined([("a", A), ("b", B)])
    assert both == combined([("b", B), ("a", A)])
    assert both not in (combined([("a", B), ("b", A)]), combined([("a", A), ("c", B)]), A, B)


def test_a_lock_is_written_from_provenances_and_keeps_the_hub(tmp_path: Path) -> None:
    row = {"dataset": "set", "file": "a.csv", "repo": "o/r", "commit": "c", "path": "x/a.csv", "bytes": 1, "sha256": A}
    provenance = tmp_path / "PROVENANCE.jsonl"
    provenance.write_text(json.dumps(row) + "\n" + json.dumps({**row, "file": "b.csv", "sha256": B}) + "\n")
    target = tmp_path / "datasets.lock"
    target.write_text("hub:me/set\tc0ffee\nold/a.csv\t" + A + "\t1\n")
    assert write(provenance, target) == 2
    lock = read_lock([tmp_path])
    assert lock.files["set/a.csv"] == Pin("set/a.csv", A, 1, "o/r", "c", "x/a.csv")
    assert lock.revisions["me/set"] == "c0ffee"
    assert "old/a.csv" not in lock.files


@needs_data
def test_our_lock_is_what_the_provenances_say(tmp_path: Path) -> None:
    assert DATA is not None
    target = tmp_path / "datasets.lock"
    target.write_bytes(LOCK.read_bytes())
    write(DATA / "PROVENANCE.jsonl", target)
    assert target.read_text(encoding="utf-8") == LOCK.read_text(encoding="utf-8")
