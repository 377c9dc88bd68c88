"""One replica of a model on a GPU work pool: it loads the model once and takes shards until none is left.

Its parameters are a place and a name; what it has to know is in the job's file there, and what it answers goes there.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from tasks.artifacts import update_table
from tasks.progress import show_on, silence
from tasks.worker import Worker, working

SHOW = 2.0
"""Seconds between two updates of what its page shows."""


@flow(name="inference")
def inference(spool: str, job: str, replica: int = 0) -> int:
    """Answer shards of a job; how many. An error ends it, and what is open is answered by another."""
    with working(spool, job, str(flow_run.id)) as worker:
        if worker is None:
            return 0
        if (folder := worker.job.folder) and Path(folder).is_dir():
            os.chdir(folder)  # relative paths of models and data mean what they mean to the parent
        return _answer(worker)


def _answer(worker: Worker) -> int:
    @task(name="infer", task_run_name="{shard}", cache_policy=NO_CACHE, persist_result=False)
    def infer(shard: str, claim: int) -> dict[str, Any]:
        return asdict(worker.answer(shard, claim))

    count = 0
    page = Page(worker)
    show_on(page.advance)
    try:
        for shard, claim in worker.shards():
            infer(shard, claim)
            count += 1
            page.show()
    finally:
        silence(page.advance)
    return count


class Page:
    """What the page of this run in the Prefect UI shows: how far the job is, and how fast this worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.began = self.shown = time.monotonic()
        self.progress = cast(UUID, create_progress_artifact(0.0, "progress", self._description()))
        self.speed = cast(UUID, create_table_artifact(self._speed(), "speed", "What this worker has done so far"))

    def advance(self, what: str, by: int, total: int | None) -> None:
        """A batch was answered."""
        if time.monotonic() - self.shown > SHOW:
            self.show()

    def show(self) -> None:
        """Bring the page up to date."""
        self.shown = time.monotonic()
        done, shards = self.worker.done()
        update_progress_artifact(self.progress, 100.0 * done / max(shards, 1), self._description())
        update_table(self.speed, self._speed())

    def _description(self) -> str:
        done, shards = self.worker.done()
        return f"{done} of the job's {shards} shards are answered; {self.worker.total.answered} answers by this worker"

    def _speed(self) -> list[dict[str, Any]]:
        total, seconds = self.worker.total, max(time.monotonic() - self.began, 1e-9)
        return [
            {
                "answered": total.answered, "failed": total.failed, "prompt tokens": total.input_tokens,
                "written tokens": total.output_tokens, "seconds": round(seconds, 1),
                "tokens a second": round((total.input_tokens + total.output_tokens) / seconds, 1),
            }
        ]  # fmt: skip
