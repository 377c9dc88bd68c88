"""What the lock pins, by data set: a file's first folder is its data set's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import Literal

from adapters.datasets.fetch import data_folder, fetch, lookup
from assay.errors import DatasetError, SpecError, unknown
from assay.lock import Pin, read_lock, sha256

State = Literal["present", "incomplete", "absent", "corrupt"]
CONNECTIONS = 8
PATIENCE = 5
"""Files that may fail before the others are no longer tried."""


def data_sets(names: Iterable[str] = (), catalog: Sequence[Path] = ()) -> dict[str, list[Pin]]:
    """The pinned files of some data sets, or of all. Raises SpecError for a name that the lock does not have."""
    sets: dict[str, list[Pin]] = {}
    for path, pin in sorted(read_lock(catalog).files.items()):
        sets.setdefault(path.partition("/")[0], []).append(pin)
    wanted = list(names)
    for name in wanted:
        if name not in sets:
            raise SpecError(unknown("data set", name, sets))
    return {name: sets[name] for name in wanted} if wanted else sets


def state_of(pin: Pin, catalog: Sequence[Path] = ()) -> State:
    """Whether a file is there and as pinned."""
    path = lookup(pin.path, catalog)
    if path is None:
        return "absent"
    return "present" if path.stat().st_size == pin.size and sha256(path) == pin.sha256 else "corrupt"


def state_of_set(states: Sequence[State]) -> State:
    """One word for all files of a data set: the worst, and `incomplete` where only some are there."""
    if "corrupt" in states:
        return "corrupt"
    if "absent" not in states:
        return "present"
    return "incomplete" if "present" in states else "absent"


def pull(pins: Sequence[Pin], done: Callable[[Pin], None]) -> list[str]:
    """Fetch files into the data folder, some at a time; what failed, each in a sentence. Where nothing but failures
    come the rest is not tried, and that is said."""
    failed: list[str] = []
    folder, fetched, hopeless = data_folder(), 0, Event()

    def one(pin: Pin) -> bool:
        return not hopeless.is_set() and bool(fetch(pin, folder))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        jobs = {pool.submit(one, pin): pin for pin in pins}
        for job in as_completed(jobs):
            try:
                if job.result():
                    fetched += 1
                    done(jobs[job])
            except DatasetError as error:
                failed.append(str(error))
            if len(failed) >= PATIENCE and not fetched:
                hopeless.set()
    if hopeless.is_set():
        failed.append(f"{len(pins) - fetched - len(failed)} more were not tried")
    return failed
