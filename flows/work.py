"""python -m flows.work SPOOL JOB NAME: a worker without Prefect, as a cluster back end starts it."""

from __future__ import annotations

import sys

from assay.errors import AssayError
from tasks.worker import work


def main(url: str, job: str, name: str) -> int:
    """Answer a job's shards; the exit code, 1 where it had to end before its time."""
    try:
        work(url, job, name)
    except AssayError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
