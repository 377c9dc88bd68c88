"""What runs inside the boxes beside a model's program; the standard library is all that these files know.

`tester.py` runs the trusted tests in one box, `serve.py` the model's program in the other; they talk by `wire.py`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=16)
def text(name: str) -> str:
    """The text of a file of this folder, as it stands in a box, where all files lie in one folder."""
    return (files(__name__) / name).read_text(encoding="utf-8").replace("from assay.inside.", "from ")
