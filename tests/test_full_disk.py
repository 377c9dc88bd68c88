"""A disk that fills up in the middle of a run: what was recorded stays, the cause is said, the run can be resumed."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from assay.catalog import make_spec
from flows.running import resume, run_spec
from storage import spool
from storage.ledger import Ledger

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_a_segment_that_finds_no_room_stops_the_run_and_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "l.duckdb"
    publish, written = spool.publish, []

    def full(part: Path, path: Path) -> None:
        if "." in path.stem:  # a segment, not a shard
            written.append(path)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        publish(part, path)

    spec = make_spec({"models": ["echo:oracle"], "suites": ["mini"], "limit": 5})
    monkeypatch.setattr("adapters.models.echo.BATCH", 50)
    with monkeypatch.context() as patch:
        patch.setattr(spool, "publish", full)
        assert run_spec(spec, ledger) == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told and "assay resume" in told and "Traceback" not in told
    assert [p.suffix for p in written[1].parent.iterdir() if "part" in p.name] == []  # no half a file
    with Ledger(ledger).read() as con:
        assert con.execute("SELECT state FROM runs").fetchall() == [("interrupted",)]
    assert resume(None, ledger, as_json=True) == 0
    scores = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["scores"]
    assert all(row["value"] == 1 and row["n_errors"] == 0 for row in scores)
    with Ledger(ledger).read() as con:
        answered = con.execute("SELECT count(*), count(DISTINCT completion_key) FROM completions").fetchall()
        asked = con.execute("SELECT count(DISTINCT completion_key) FROM run_requests").fetchall()
    assert answered == [(asked[0][0], asked[0][0])]
