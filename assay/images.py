"""Images of a question: known by their SHA-256, as every pinned file is; their bytes lie in the run's spool.

A sample names its images by `{{ path | pinned }}`, `prompt.images` puts them before the question, and a model whose
adapter gives the extra `images` is sent them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from assay.errors import SpecError, unknown
from assay.lock import read_lock
from assay.template import template_filter
from assay.types import Message

FOLDER = "images"
"""Beside the shards, each image under its SHA-256."""
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


@template_filter
def pinned(path: str) -> str:
    """The SHA-256 of a file of datasets.lock. Raises SpecError for one that is not there."""
    files = read_lock().files
    if path not in files:
        raise SpecError(f"{unknown('file', path, files)} in datasets.lock")
    return files[path].sha256


def located(messages: Sequence[Message], folder: Path) -> list[Message]:
    """The messages, each image with the `path` that its bytes have in a folder of shards."""
    return [
        message
        if isinstance(message["content"], str)
        else {**message, "content": [_located(part, folder) for part in message["content"]]}
        for message in messages
    ]


def _located(part: dict[str, str], folder: Path) -> dict[str, str]:
    return {**part, "path": str(folder / FOLDER / part["sha256"])} if part["type"] == "image" else part


def data_url(part: dict[str, str]) -> str:
    """An image's bytes as a URL that holds them. Raises SpecError where they are not there."""
    path = Path(part.get("path", ""))
    if not part.get("path") or not path.is_file():
        raise SpecError(f"the image {part['sha256']} is not here: only models that see the run's own spool get images")
    content = path.read_bytes()
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
