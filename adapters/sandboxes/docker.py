"""Boxes made by docker: a container for each program, thrown away afterwards.

$ASSAY_SANDBOX_IMAGE is the image, `python:3.11-slim` by default; it has to be there already.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from adapters.boxes.probe import opened
from adapters.boxes.runner import Boxes
from assay.errors import SandboxError

IMAGE = "python:3.11-slim"


def open_sandbox(workers: int | None = None) -> Boxes:
    """A sandbox of so many jobs at once, by default one a core. Raises SandboxError where docker cannot do it."""
    program = shutil.which("docker")
    if program is None:
        raise SandboxError("docker: docker is not installed")
    image = os.environ.get("ASSAY_SANDBOX_IMAGE", IMAGE)
    asked = subprocess.run([program, "image", "inspect", image], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise SandboxError(f"docker: {asked.stderr.strip() or f'no image {image}'}")
    return opened("docker", workers, docker=program, image=image)
