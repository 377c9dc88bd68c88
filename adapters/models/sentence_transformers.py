"""Models of the library sentence-transformers, pooled and normalised as their folder says:
`sentence_transformers:FOLDER`, or `sentence_transformers:OWNER/NAME` of the hub. They embed, and do nothing else.

Options: those of the class below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field

from adapters import library
from adapters.hf.digests import file_digest
from adapters.hf.folder import SMALL, WEIGHTS, Folder, locate, read_json
from adapters.hf.options import options_of
from assay.chat import render
from assay.chunks import chunked
from assay.errors import AssayError, ModelError
from assay.keys import key
from assay.spec import ModelSpec
from assay.types import Completion, ModelInfo, Record, Request

MODULES = "modules.json"
CHUNK = 1024


class Options(Record):
    """The options of `sentence_transformers:PATH`; the last two change no answer."""

    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    prompt: str = ""
    """What is put in front of every text."""
    batch_size: int = Field(default=32, ge=1)
    device: str | None = None
    """cpu, cuda, cuda:1, mps …; by default the first GPU, else the CPU."""


def describe(spec: ModelSpec) -> ModelInfo:
    """What is known of the model from its files; nothing is loaded.

    Raises ModelError for a folder that is not of the library's form, or where the library is missing.
    """
    options = options_of(spec, Options)
    if find_spec("sentence_transformers") is None:
        raise ModelError(
            "adapter 'sentence_transformers' needs the package sentence-transformers: pip install sentence-transformers"
            " (hf:FOLDER embeds without it, by the mean over tokens)"
        )
    found = _found(spec, options, SMALL)
    named = read_json(found.path / "sentence_bert_config.json")
    files = () if found.commit else sorted(p for p in found.path.rglob("*") if _counts(p, found.path))
    digests = {str(path.relative_to(found.path)): file_digest(path) for path in files}
    weights: Any = {"hub": spec.path, "commit": found.commit} if found.commit else key(digests)
    return ModelInfo(
        identity={"adapter": spec.adapter, "weights": weights, "prompt": options.prompt},
        kinds=frozenset({"embed"}),
        max_length=named.get("max_seq_length"),
        facts={"sentence-transformers": version("sentence-transformers"), "device": options.device or "auto"},
    )


def load(spec: ModelSpec) -> Embedder:
    """The model on its device. Raises ModelError where it does not load."""
    options = options_of(spec, Options)
    found = _found(spec, options, (*SMALL, *WEIGHTS))
    made = library("sentence_transformers", "sentence_transformers", "sentence-transformers").SentenceTransformer
    library("transformers", "sentence_transformers").utils.logging.disable_progress_bar()  # the run shows its own
    try:
        return Embedder(made(str(found.path), device=options.device), options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ModelError(f"model {found.path} does not load: {type(error).__name__}: {error}") from error


class Embedder:
    """Answers requests of kind `embed`."""

    def __init__(self, model: Any, options: Options) -> None:
        self.model, self.options = model, options

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of all requests, some thousand at a time; what fails has an error."""
        for chunk in chunked(requests, CHUNK):
            done, texts = list[Completion](), dict[str, str]()
            for request in chunk:
                try:
                    if request.kind != "embed":
                        raise ModelError(f"sentence_transformers cannot answer requests of kind {request.kind!r}")
                    texts[request.key] = render(request.messages, None, "gen")
                except AssayError as error:
                    done.append(Completion(request.key, error=str(error)))
            yield done + self._embedded(texts)

    def _embedded(self, texts: dict[str, str]) -> list[Completion]:
        how = {"batch_size": self.options.batch_size, "prompt": self.options.prompt or None}
        if not texts:
            return []
        try:
            vectors = self.model.encode(list(texts.values()), show_progress_bar=False, convert_to_numpy=True, **how)
        except (RuntimeError, ValueError, MemoryError) as error:
            return [Completion(name, error=f"{type(error).__name__}: {error}") for name in texts]
        return [Completion(name, vector=vector) for name, vector in zip(texts, vectors, strict=True)]


def _found(spec: ModelSpec, options: Options, patterns: Sequence[str]) -> Folder:
    found = locate(spec.path, options.revision, patterns)
    if not (found.path / MODULES).exists():
        raise ModelError(
            f"model {found.path}: no {MODULES}: wanted a folder of sentence-transformers; try hf:{spec.path}"
        )
    return found


def _counts(path: Path, folder: Path) -> bool:
    """Whether a file has a part in what the vectors are."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and any(path.match(pattern) for pattern in (*SMALL, *WEIGHTS))
