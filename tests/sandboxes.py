"""Sandboxes for tests: a tier that this machine lacks is a test that is skipped, saying why."""

from __future__ import annotations

from functools import cache

import pytest

from adapters.boxes.runner import Boxes
from adapters.sandboxes import open_best
from assay.errors import SandboxError


@cache
def lacking(tier: str | None) -> str:
    """Why a tier does not work on this machine; nothing where it does."""
    try:
        open_best(tier, 1).close()  # type: ignore[attr-defined]
    except SandboxError as error:
        return str(error)
    return ""


def opened(tier: str | None, workers: int | None = None) -> Boxes:
    """A sandbox of a tier, or the best one."""
    if why := lacking(tier):
        pytest.skip(f"this machine has no {tier or 'sandbox'}: {why}")
    box = open_best(tier, workers)
    assert isinstance(box, Boxes)
    return box
