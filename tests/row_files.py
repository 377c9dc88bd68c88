"""Files of rows in a catalogue folder, written and read for the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from adapters.datasets import Opened, open_source
from assay.spec import Source

TWO = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
AS_JSONL = '{"a": "1", "b": "x"}\n\n{"a": "2", "b": "y"}\n'


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(folder: Path, path: str, **more: Any) -> Opened:
    return open_source([Source.model_validate({"files": {"path": path, **more}})], [folder])


def rows(folder: Path, path: str, **more: Any) -> list[Any]:
    return list(opened(folder, path, **more).rows)


def pin(folder: Path, name: str, content: bytes, url: bool = False) -> None:
    origin = ["owner/repo", "c0ffee", f"x/{name}"] if url else []
    line = [name, hashlib.sha256(content).hexdigest(), str(len(content)), *origin]
    with (folder / "datasets.lock").open("a") as stream:
        stream.write("\t".join(line) + "\n")
