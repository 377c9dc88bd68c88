"""The boxes that programs run in, one file an adapter: `open_sandbox(workers) -> Sandbox`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters import sandbox_adapter
from assay.errors import SandboxError
from assay.programs import Sandbox

STRONGEST_FIRST = ("namespaces", "bwrap", "docker")


def open_best(name: str | None = None, workers: int | None = None, catalog: Sequence[Path] = ()) -> Sandbox:
    """The sandbox of this name, or the strongest that works on this machine; it is closed by `with`.

    Raises SandboxError where none works, with the cause of each, and SpecError for an unknown name.
    """
    if name is not None:
        box: Sandbox = sandbox_adapter(name, catalog).open_sandbox(workers)
        return box
    causes = []
    for tier in STRONGEST_FIRST:
        try:
            best: Sandbox = sandbox_adapter(tier).open_sandbox(workers)
        except SandboxError as error:
            causes.append(f"{tier}: {error}")
        else:
            return best
    raise SandboxError(
        f"no sandbox works on this machine, so generated code is not run ({'; '.join(causes)}); "
        "docs/sandbox.md says how to allow one; `sandbox: none` runs it without any"
    )
