"""Boxes made by bubblewrap, which some systems allow user namespaces where they allow us none."""

from __future__ import annotations

import shutil

from adapters.boxes.probe import opened
from adapters.boxes.runner import Boxes
from assay.errors import SandboxError


def open_sandbox(workers: int | None = None) -> Boxes:
    """A sandbox of so many jobs at once, by default one a core. Raises SandboxError where it keeps nothing in."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError("bwrap: bubblewrap is not installed")
    return opened("bwrap", workers, bwrap=program)
