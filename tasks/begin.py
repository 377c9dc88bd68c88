"""The beginning of a run: the unfinished one of the same spec is taken up, else a new one is recorded."""

from __future__ import annotations

import time
from typing import NamedTuple

from assay.spec import EvalSpec
from storage.ledger import Ledger
from storage.steps import bury
from tasks.context import create


class Begun(NamedTuple):
    """A run that can be gone through with."""

    run_id: str
    resumed: bool


def begin(spec: EvalSpec, ledger: Ledger, refresh: bool = False) -> Begun:
    """The run of a spec that is to be completed. Raises SpecError, ModelError, LedgerError."""
    run_id = None if refresh else _unfinished(ledger, spec)
    return Begun(run_id, True) if run_id else Begun(create(spec, ledger, refresh), False)


def _unfinished(ledger: Ledger, spec: EvalSpec) -> str | None:
    """The unfinished run of the same spec that no living process is at."""
    if not ledger.path.exists():
        return None
    with ledger.write() as con:
        bury(con)
        row = con.execute(
            "SELECT run_id FROM runs WHERE spec_hash = ? AND state IN ('running', 'interrupted', 'planned')"
            " AND coalesce(lease, 0) < ? ORDER BY created DESC LIMIT 1",
            [spec.hash, time.time()],
        ).fetchone()
        if row:
            # the same evaluation, but it may go on elsewhere: where it runs is no part of the hash
            con.execute("UPDATE runs SET spec = ? WHERE run_id = ?", [spec.model_dump_json(), row[0]])
    return str(row[0]) if row else None
