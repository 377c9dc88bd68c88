"""No box: programs run as the user's own processes, with limits and a clock. For specs that say `sandbox: none`."""

from __future__ import annotations

from adapters.boxes.runner import Boxes


def open_sandbox(workers: int | None = None) -> Boxes:
    """Runs so many jobs at once, by default one a core. Raises SandboxError where this is not Linux."""
    return Boxes("none", workers)
