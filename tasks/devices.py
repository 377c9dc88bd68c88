"""The GPUs of this machine, leased: each by a file lock, which the system gives back when its holder dies."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from assay.errors import ModelError

LOOK = 0.5
"""Seconds between two looks at whether enough of them are free."""


def devices() -> list[str]:
    """The ids of the devices that this machine has for evaluations: those that $ASSAY_DEVICES lists (`0,1,2,3`), else
    $CUDA_VISIBLE_DEVICES, else what `nvidia-smi` finds; none on a machine without GPU. torch is not imported."""
    for name in ("ASSAY_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if name in os.environ:
            return [one.strip() for one in os.environ[name].split(",") if one.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    found = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(number) for number, _ in enumerate(found.stdout.splitlines())]


def count() -> int:
    """How many devices this machine has."""
    return len(devices())


@contextmanager
def leased(wanted: int) -> Iterator[list[str]]:
    """So many devices, which nobody else who asks here has; CUDA_VISIBLE_DEVICES names them inside the block.

    Waits until they are free: all of them or none are taken, so that two who want several do not wait for each other.
    A machine without devices gives none. Raises ModelError where it has fewer than are wanted, and where torch is
    there already, since it would not see the change.
    """
    there = devices()
    if wanted == 0 or not there:
        yield []
        return
    if wanted > len(there):
        raise ModelError(f"the model wants {wanted} devices, and this machine has {len(there)}: {', '.join(there)}")
    if "torch" in sys.modules:
        raise ModelError("devices can be leased only before torch is imported: CUDA_VISIBLE_DEVICES comes too late")
    with ExitStack() as held:
        while len(mine := _free(there, wanted, held)) < wanted:
            held.close()
            time.sleep(LOOK * (0.5 + random.random()))
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        try:
            yield mine
        finally:
            os.environ.pop("CUDA_VISIBLE_DEVICES")
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _free(there: Sequence[str], wanted: int, held: ExitStack) -> list[str]:
    """As many free devices as are wanted, or all that are free; they are held."""
    folder = Path(os.environ.get("ASSAY_DEVICE_LOCKS", Path(tempfile.gettempdir()) / "assay-devices"))
    folder.mkdir(parents=True, exist_ok=True)
    mine: list[str] = []
    for device in there:
        lock = FileLock(folder / f"{device.replace('/', '_')}.lock", mode=0o666)
        try:
            held.enter_context(lock.acquire(timeout=0))
            mine.append(device)
        except Timeout:
            continue
        if len(mine) == wanted:
            break
    return mine


def device_name() -> str:
    """What a loaded model runs on: the first GPU's name, as torch tells it; `cpu` where it uses none."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return "cpu"
