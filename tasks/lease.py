"""A run's lease: renewed while its process lives, so that others know when its claims are void."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from assay.errors import LedgerError
from storage.steps import release, renew_lease
from tasks.context import LEASE, Run


@contextmanager
def leased(run: Run, flow_run: str = "") -> Iterator[None]:
    """Hold a run for the time of a block: its state is `running` inside, `interrupted` where the block is left by an
    error, and its claims are released."""
    _set(run, "running", flow_run)
    stop = threading.Event()
    renewing = threading.Thread(target=_renew, args=(run, stop), daemon=True)
    renewing.start()
    try:
        yield
    except BaseException:
        stop.set()
        _leave(run, "interrupted")
        raise
    finally:
        stop.set()
    _leave(run, None)


def _set(run: Run, state: str, flow_run: str) -> None:
    """The run is this process's; what failed in an earlier attempt is tried again."""
    with run.ledger.write() as con:
        con.execute(
            "UPDATE runs SET state = ?, lease = ?, pid = ?, host = ?, prefect_flow_run = ?, finished = NULL,"
            " error = NULL WHERE run_id = ?",
            [state, time.time() + LEASE, os.getpid(), socket.gethostname(), flow_run, run.id],
        )
        con.execute("DELETE FROM steps WHERE run_id = ? AND state = 'failed'", [run.id])
        con.execute("UPDATE shards SET state = 'cut off' WHERE run_id = ? AND state = 'open'", [run.id])


def _renew(run: Run, stop: threading.Event) -> None:
    while not stop.wait(LEASE / 3):
        try:
            with run.ledger.write() as con:
                renew_lease(con, run.id, LEASE)
        except LedgerError as error:  # a full disk shows in the step that writes next; the lease may lapse meanwhile
            print(f"assay: the lease of {run.id} could not be renewed: {error}", flush=True)


def _leave(run: Run, state: str | None) -> None:
    with run.ledger.write() as con:
        release(con, run.id)
        con.execute("UPDATE runs SET lease = NULL, state = coalesce(?, state) WHERE run_id = ?", [state, run.id])
