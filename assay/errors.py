"""What can go wrong, drawn as a tree.

AssayError
├── SpecError       a name, option, file or template that the user gave is wrong      exit 2
├── DatasetError    rows are missing, corrupt or not as pinned                         exit 2
├── ModelError      a model cannot be described or loaded                              exit 2
├── LedgerError     the ledger cannot be opened, is none, or is of a newer schema      exit 2
└── SandboxError    generated code cannot be run safely                                exit 2

A question that a model fails to answer is none of these: it is a row of `failures`, with its cause, and the run
goes on. Messages say what was wanted, what came and what there is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AssayError(Exception):
    """An error that a person can act on: its text is all they need to see."""


class SpecError(AssayError):
    """A name, option, file or template that the user gave is wrong."""


class DatasetError(AssayError):
    """Rows are missing, corrupt or not as pinned."""


class ModelError(AssayError):
    """A model cannot be described or loaded."""


class LedgerError(AssayError):
    """The ledger cannot be opened, is none, or is of a newer schema."""


class SandboxError(AssayError):
    """Generated code cannot be run safely."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not there: the nearest ones first, else a few of what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"no {kind} {name!r}; did you mean {' or '.join(near)}?"
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return f"no {kind} {name!r}; there is {shown or 'none'}"
