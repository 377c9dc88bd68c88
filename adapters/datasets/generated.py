"""Rows made by a registered seeded function; with texts of other sources, and of lengths in a model's own tokens, where
the function asks for these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters import library
from adapters.datasets import Rows, open_source
from assay.errors import SpecError
from assay.generate import generated
from assay.keys import generator, key
from assay.registry import version_of
from assay.spec import GeneratedSource, Source

BYTES_A_TOKEN = 4
"""Where no tokenizer is known: what English has with most of them."""


@dataclass(frozen=True)
class Measure:
    """How long a text is to a model."""

    identity: str
    """What distinguishes it from others that count otherwise."""
    count: Callable[[str], int]


def estimate() -> Measure:
    """A token for every four bytes of UTF-8: of no model, for those whose tokenizer is not known."""
    return Measure(f"{BYTES_A_TOKEN} bytes", lambda text: -(-len(text.encode()) // BYTES_A_TOKEN))


def open_generated(
    source: GeneratedSource, catalog: Sequence[Path] = (), measure: Callable[[], Measure] = estimate
) -> tuple[dict[str, Any], Rows]:
    """What identifies the rows of a generated source, and the rows: the same for the same name, seed, count, options.

    An option that is a source (or a list of them, of which the first that can be had counts) is given to the function
    as its rows. A function with a parameter `count_tokens` is given what counts tokens: of the option `tokenizer`, a
    folder or a name on the hub, else `measure`. Raises SpecError for a function that is not there or an option that it
    does not know, DatasetError where it cannot make so many rows or a source cannot be had.
    """
    make = generated[source.name]
    facts = {"source": "generated", **source.model_dump(mode="json"), "version": _version(make)}
    options = dict(source.options)
    for name, value in source.options.items():
        if sources := _sources(value):
            opened = open_source(sources, catalog)
            facts[f"rows of {name}"], options[name] = opened.facts, opened.rows
    if "count_tokens" in inspect.signature(make).parameters:
        measured = tokenizer(options.pop("tokenizer")) if options.get("tokenizer") else measure()
        facts["tokens"], options["count_tokens"] = measured.identity, measured.count
    return facts, Rows(lambda: rows(source, options))


def rows(source: GeneratedSource, options: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a generated source, by its own options where no others are given. Raises as `open_generated`."""
    make, given = generated[source.name], source.options if options is None else options
    try:
        yield from make(generator("generated", source.name, source.seed), source.count, **given)
    except TypeError as error:
        raise SpecError(f"generated source {source.name!r} with options {source.options}: {error}") from error


def tokenizer(path: str) -> Measure:
    """The tokenizer of a folder, or of a name on the hub. Raises ModelError where there is none."""
    from adapters.hf.folder import TOKENIZER, digests_of, locate, tokenizer_files

    folder = locate(path, None, TOKENIZER).path
    identity = key(digests_of(tokenizer_files(folder)))
    if (folder / "tokenizer.json").is_file():  # transformers takes ten times as long to load it
        loaded = library("tokenizers", "hf").Tokenizer.from_file(str(folder / "tokenizer.json"))
        return Measure(identity, lambda text: len(loaded.encode_batch_fast([text])[0].ids))
    from adapters.hf.engine import load_tokenizer

    slow = load_tokenizer(folder, trust_remote_code=False)
    return Measure(identity, lambda text: len(slow(text).input_ids))


def _sources(value: Any) -> list[Source]:
    """The sources that an option names; none where it is something else."""
    listed = value if isinstance(value, list | tuple) else [value]
    named = all(isinstance(one, Mapping) and len(one) == 1 and set(one) <= {"files", "hub"} for one in listed)
    return [Source.model_validate(one) for one in listed] if listed and named else []


def _version(make: Callable[..., Any]) -> str:
    """Of the function's file, and of the files of what it says that it is made of."""
    parts = getattr(make, "parts", ())
    return key([version_of(one) for one in (make, *parts)]) if parts else version_of(make)
