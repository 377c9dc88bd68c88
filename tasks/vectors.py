"""Vectors of texts from a run's embedder. The ledger keeps them by their text: none is embedded twice, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from assay.chunks import chunked
from assay.errors import AssayError, ModelError
from assay.keys import digest
from assay.retrieve import Text
from assay.types import Completion, Request, Sample
from tasks.context import Run, Subject
from tasks.infer import load
from tasks.progress import advance

Floats = NDArray[np.float32]
BATCH = 4096
"""Texts that are asked at a time, and then in the ledger."""

_KNOWN = """
SELECT text_hash, any_value(vector) AS vector FROM embeddings SEMI JOIN wanted USING (text_hash)
WHERE embedder_key = $embedder GROUP BY text_hash
"""
_NEW = """
INSERT INTO embeddings SELECT $embedder, text_hash, vector FROM new
ANTI JOIN (SELECT text_hash FROM embeddings WHERE embedder_key = $embedder) USING (text_hash)
"""


@contextmanager
def as_model_error(subject: Subject) -> Iterator[None]:
    """Whatever a model that a retriever asks breaks down with is a ModelError, as an adapter may be a user's."""
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        raise ModelError(f"{subject.spec.label}, asked by a retriever: {type(error).__name__}: {error}") from error


class Vectors:
    """The vectors of samples' texts, in fp32. Raises ModelError where the embedder has none for one of them."""

    def __init__(self, run: Run, embedder: Subject, text: Text) -> None:
        self.run, self.embedder, self.text = run, embedder, text
        self.at_hand: dict[str, int] = {}
        self.matrix: Floats = np.zeros((0, 0), dtype=np.float32)

    def __call__(self, samples: Sequence[Sample]) -> Floats:
        """A row for each sample."""
        texts = [self.text(sample) for sample in samples]
        keys = [digest(text.encode()) for text in texts]
        if all(key in self.at_hand for key in keys):
            return self.matrix[[self.at_hand[key] for key in keys]]
        known, matrix = self._all(dict(zip(keys, texts, strict=True)))
        return matrix[[known[key] for key in keys]]

    def ahead(self, samples: Sequence[Sample]) -> None:
        """Have the vectors of these at hand, and of no others: what is asked for one by one is embedded together."""
        texts = {digest(text.encode()): text for text in map(self.text, samples)}
        self.at_hand, self.matrix = self._all(texts)

    def _all(self, texts: dict[str, str]) -> tuple[dict[str, int], Floats]:
        """Where each text's vector is, and the vectors."""
        keys, matrix = self._known(list(texts))
        missing = sorted(texts.keys() - set(keys))
        parts = [matrix] if keys else []
        for chunk in chunked(missing, BATCH):
            parts.append(self._embedded({key: texts[key] for key in chunk}))
            keys += chunk
        if len({part.shape[1] for part in parts}) > 1:
            raise ModelError(f"the embedder {self.embedder.spec.label} gives vectors of several lengths")
        return {key: row for row, key in enumerate(keys)}, np.concatenate(parts)

    def _known(self, wanted: list[str]) -> tuple[list[str], Floats]:
        with self.run.ledger.read() as con:
            con.register("wanted", pa.table({"text_hash": pa.array(wanted, pa.string())}))
            found = con.sql(_KNOWN, params={"embedder": self.embedder.key}).to_arrow_table().combine_chunks()
            con.unregister("wanted")
        if not len(found):
            return [], self.matrix
        flat = found["vector"].combine_chunks().flatten().to_numpy()
        return found["text_hash"].to_pylist(), flat.reshape(len(found), -1)

    def _embedded(self, texts: dict[str, str]) -> Floats:
        """The vectors of texts that are asked now; they are in the ledger then."""
        requests = [Request(key, "embed", [{"role": "user", "content": text}]) for key, text in texts.items()]
        vectors: dict[str, Floats] = {}
        with as_model_error(self.embedder):
            for batch in load(self.embedder.spec, self.run.spec.catalog).answer(requests):
                vectors |= {done.key: self._vector(done) for done in batch}
                advance("embed", len(batch), total=0)
        if lacking := texts.keys() - vectors.keys():
            raise ModelError(f"the embedder {self.embedder.spec.label} gave no vector for {len(lacking)} texts")
        rows = [vectors[key] for key in texts]
        with self.run.ledger.write() as con:
            _insert(con, self.embedder.key, list(texts), rows)
        if len({len(row) for row in rows}) > 1:
            raise ModelError(f"the embedder {self.embedder.spec.label} gives vectors of several lengths")
        return np.array(rows)

    def _vector(self, done: Completion) -> Floats:
        if done.error is not None or not len(done.vector):
            raise ModelError(f"the embedder {self.embedder.spec.label}: {done.error or 'an empty vector'}")
        return np.asarray(done.vector, dtype=np.float32)


def _insert(con: duckdb.DuckDBPyConnection, embedder: str, keys: list[str], rows: list[Floats]) -> None:
    offsets = pa.array(np.cumsum([0, *map(len, rows)]), pa.int32())
    vectors = pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(rows), pa.float32()))
    con.register("new", pa.table({"text_hash": pa.array(keys, pa.string()), "vector": vectors}))
    con.execute(_NEW, {"embedder": embedder})
    con.unregister("new")
