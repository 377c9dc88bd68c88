"""The boxes that programs run in, one file an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from adapters import sandbox_adapter
from assay.errors import SandboxError
from assay.programs import Sandbox

STRONGEST_FIRST = ("namespaces", "bwrap", "docker")
_FORBIDDING = {
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "user.max_user_namespaces": "0",
}
"""Settings of the kernel with which users can have no namespaces."""


def open_best(
    name: str | None = None, workers: int | None = None, catalog: Sequence[Path] = ()
) -> AbstractContextManager[Sandbox]:
    """The sandbox of this name, or else the strongest that works on this machine. It is open; `with` closes it.

    Raises SandboxError where none works, with the cause of each, and SpecError for an unknown name.
    """
    if name is not None:
        return _open(name, workers, catalog)
    causes = []
    for tier in STRONGEST_FIRST:
        try:
            return _open(tier, workers, catalog)
        except SandboxError as error:
            causes.append(str(error))
    causes += [f"{name} is {value}" for name, value in _FORBIDDING.items() if _setting(name) == value]
    raise SandboxError(
        "programs that a model wrote are not run here, as no sandbox works on this machine: "
        f"{'; '.join(causes)} (docs/sandbox.md tells how to allow one; `sandbox: none` runs them without)"
    )


def _setting(name: str) -> str:
    place = Path("/proc/sys", *name.split("."))
    return place.read_text().strip() if place.exists() else ""


def _open(name: str, workers: int | None, catalog: Sequence[Path]) -> AbstractContextManager[Sandbox]:
    box: AbstractContextManager[Sandbox] = sandbox_adapter(name, catalog).open_sandbox(workers)
    return box
