"""What was asked and answered so far, sample by sample, for solvers that go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from assay.chunks import CHUNK
from assay.errors import SpecError
from assay.messages import join_messages
from assay.reading import name_of
from assay.samples import loads
from assay.solve import Exchange, Question, solver
from assay.spec import Benchmark
from assay.types import Message, Reply, Sample
from tasks.context import Run

TRANSCRIPTS = """
SELECT a.ordinal, a.sample_key, a.replica, s.fields, a.round, a.turn, a.role, r.kind, h.messages, r.messages,
       r.continuations, c.completion_key, c.text, c.sums, c.tokens, c.greedy, c.prompt_sums, c.prompt_lengths,
       c.token_logprobs, c.finish
FROM asked a
JOIN requests r USING (request_key)
LEFT JOIN headers h USING (header_key)
LEFT JOIN completions c ON c.completion_key = completion_key_of(a.request_key, $model, a.sampling_key, a.replica)
JOIN samples s ON s.prepared = $prepared AND s.ordinal = a.ordinal
WHERE list_contains($prompted, a.prompted) AND a.ordinal >= $start AND a.ordinal < $end
ORDER BY a.ordinal, a.replica, a.round, a.turn
"""

Told = tuple[int, str, int, str, list[Message], list[Exchange]]
"""ordinal, sample key, replica, fields, the prompt of the first round, the exchanges."""


def transcripts(run: Run, benchmark: Benchmark, model: str, prompted: list[str]) -> Iterator[list[Told]]:
    """The transcripts of a benchmark's samples in chunks; a sample with an open or failed request is left out."""
    prepared = run.key_of("prepare", benchmark.id)
    with run.ledger.read() as con:
        (count,) = con.execute("SELECT count(*) FROM samples WHERE prepared = ?", [prepared]).fetchall()[0]
    for start in range(0, count, CHUNK):
        with run.ledger.read() as con:
            values = {"model": model, "prompted": prompted, "prepared": prepared, "start": start, "end": start + CHUNK}
            rows = con.execute(TRANSCRIPTS, values).fetchall()
        told = []
        for (ordinal, replica), group in groupby(rows, key=lambda row: (row[0], row[2])):
            turns = list(group)
            if all(row[11] is not None for row in turns):
                prompt = join_messages(turns[0][8], turns[0][9])
                told.append((ordinal, turns[0][1], replica, turns[0][3], prompt, [_exchange(row) for row in turns]))
        yield told


def _exchange(row: tuple[Any, ...]) -> Exchange:
    round_, turn, role, kind, header, messages, continuations, _, text, *numbers, finish = row[4:]
    reply = reply_of([text, *numbers, continuations, finish])
    return Exchange(round_, turn, Question(join_messages(header, messages), kind, continuations or (), role), reply)


def reply_of(row: Sequence[Any]) -> Reply:
    """A reply from its columns, in the order of Reply's fields; NULL is nothing."""
    text, sums, tokens, greedy, prompt_sums, prompt_lengths, token_logprobs, choices, finish = row
    return Reply(
        text or "", sums or (), tokens or (), greedy or (), prompt_sums or (), prompt_lengths or (),
        token_logprobs or (), choices or (), finish or "",
    )  # fmt: skip


def solve(
    benchmark: Benchmark, sample: Sample, prompt: list[Message], exchanges: list[Exchange]
) -> list[Question] | Reply:
    """What the benchmark's solver asks next, or the reply that it ends with. Raises SpecError where it does neither."""
    name, options = name_of(benchmark.solver)
    result = solver[name](sample, prompt, exchanges, **options)
    if isinstance(result, Reply):
        return result
    if not result:
        raise SpecError(f"{benchmark.id}: the solver {name!r} gave neither a question nor a reply")
    return list(result)


def final_replies(
    run: Run, benchmark: Benchmark, model: str, prompted: list[str]
) -> Iterator[list[tuple[int, str, int, str, Reply]]]:
    """The replies that a benchmark's solver ended with, in chunks."""
    for chunk in transcripts(run, benchmark, model, prompted):
        done = []
        for ordinal, sample_key, replica, fields, prompt, exchanges in chunk:
            result = solve(benchmark, loads(fields), prompt, exchanges)
            if isinstance(result, Reply):
                done.append((ordinal, sample_key, replica, fields, result))
        if done:
            yield done
