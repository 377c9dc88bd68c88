"""Readers: files whose records no format describes, each a function from a path to rows.

A benchmark names one as `files: {path: …, reader: NAME, options: {…}}`; its options are the function's keyword arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assay.registry import Registry
from assay.types import Row

reader: Registry[Callable[..., Iterator[Row]]] = Registry("reader")


@reader
def wikitext(path: Path) -> Iterator[dict[str, Any]]:
    """The articles of a WikiText file, `title` and `text`: one begins at each line ` = Title = `, sections (` = = … = = `)
    do not."""
    text = path.read_text(encoding="utf-8")
    starts = [found.start() for found in re.finditer(r"^ = [^=\n]+ = ?$", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        article = text[start:end]
        yield {"title": article.split("\n", 1)[0].strip(" ="), "text": article}
