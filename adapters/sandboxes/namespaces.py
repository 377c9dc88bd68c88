"""Boxes of Linux namespaces, made by ourselves: nothing needs to be installed."""

from __future__ import annotations

import os
import sys

from adapters.boxes import seccomp
from adapters.boxes.runner import Boxes


def open_sandbox(workers: int | None = None) -> Boxes:
    """A sandbox of so many programs at once, by default one a core. Raises SandboxError."""
    plan = {
        "root": os.geteuid() == 0,
        "uid": 1_900_000_000 + 2 * os.getpid() * 64,
        "binds": ["/usr", sys.base_prefix, sys.prefix],
        "links": {f"/{n}": f"usr/{n}" for n in ("bin", "lib", "lib64", "sbin")},
        "filter": seccomp.program().hex(),
    }
    environ = {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/scratch", "TMPDIR": "/tmp", "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return Boxes("namespaces", plan, {"python": sys.version.split()[0]}, environ, workers or len(os.sched_getaffinity(0)))
