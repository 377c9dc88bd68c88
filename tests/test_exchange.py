"""What a run and its workers hand each other files through: a folder, and a real FTP server as one of fsspec's URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ftp_server import ftp

from assay.errors import LedgerError, SpecError
from storage.exchange import Exchange, Remote, exchange

__all__ = ["ftp"]  # a fixture


@pytest.fixture(params=["folder", "file", "ftp"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of each kind."""
    if request.param == "ftp":
        served: str = request.getfixturevalue("ftp")
        return f"{served}/run"
    place = tmp_path / "spool" / "run"
    place.mkdir(parents=True)
    return str(place) if request.param == "folder" else f"file://{place}"


def test_what_one_gives_another_takes(url: str) -> None:
    one, other = exchange(url), exchange(url)
    (one.folder / "a.parquet").write_bytes(b"all of it")
    one.give(["a.parquet"])
    one.say("w.worker.json", {"beat": 1})
    one.say("w.worker.json", {"beat": 2})
    assert other.names() == ["a.parquet", "w.worker.json"] and other.names("*.worker.json") == ["w.worker.json"]
    assert [path.read_bytes() for path in other.take(["a.parquet"])] == [b"all of it"]
    assert other.told("w.worker.json") == {"beat": 2} and other.told("nobody.json") is None
    other.drop(["a.parquet", "never-there"])
    assert one.names() == ["w.worker.json"]
    with pytest.raises(FileNotFoundError):
        exchange(url).take(["a.parquet"])[0].read_bytes()


def test_one_of_several_makes_a_file_that_only_one_can_make(url: str) -> None:
    assert [exchange(url).first("s.claim-0001.json", {"worker": name}) for name in "xyz"] == [True, False, False]
    assert exchange(url).told("s.claim-0001.json") == {"worker": "x"}


def test_a_folder_is_used_as_it_is_and_a_url_by_way_of_ones_own(tmp_path: Path, ftp: str) -> None:
    assert type(exchange(tmp_path)) is Exchange and exchange(tmp_path).folder == tmp_path
    assert type(exchange(f"file://{tmp_path}")) is Exchange and exchange(f"file://{tmp_path}").folder == tmp_path
    remote = Remote(ftp, tmp_path / "mine")
    assert isinstance(remote, Remote) and remote.folder == tmp_path / "mine" and remote.url == ftp


def test_no_file_is_there_yet_where_there_is_no_folder(tmp_path: Path) -> None:
    assert exchange(tmp_path / "none").names() == []


def test_a_place_that_cannot_be_reached_is_told() -> None:
    with pytest.raises(SpecError, match="the spool nope://x"):
        exchange("nope://x")
    with pytest.raises(SpecError, match="cannot be reached: "):
        exchange("ftp://127.0.0.1:9/x")


def test_a_place_that_takes_no_more_is_told(tmp_path: Path, ftp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = exchange(ftp)
    (tmp_path / "served" / "spool" / "w.json").mkdir(parents=True)
    (tmp_path / "served" / "spool" / "w.json" / "in the way").touch()
    monkeypatch.setattr("storage.exchange.WAITS", (0.01, None))
    with pytest.raises(LedgerError, match=f"the spool {ftp}: "):
        remote.say("w.json", {"beat": 1})
