"""Questions that come with assay: a file each, its first line says what it tells."""

from __future__ import annotations

from pathlib import Path


def named_queries() -> dict[str, str]:
    """The SQL of each question, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.sql"))}
