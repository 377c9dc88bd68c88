"""What was asked and answered so far, sample by sample, for solvers that go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from assay.chunks import CHUNK
from assay.messages import join_messages
from assay.prompt import Prompter
from assay.reasoning import apart
from assay.samples import loads
from assay.solve import Exchange, Question, solve
from assay.spec import Benchmark
from assay.types import Message, Reply
from tasks.context import Run
from tasks.examples import recorded

TRANSCRIPTS = """
SELECT a.ordinal, a.sample_key, a.replica, s.fields, a.round, a.turn, a.role, r.kind, h.messages, r.messages,
       r.continuations, c.completion_key, c.text, c.sums, c.tokens, c.greedy, c.prompt_sums, c.prompt_lengths,
       c.token_logprobs, c.finish, coalesce(a.asked_of, '') AS asked_of
FROM asked a
JOIN requests r USING (request_key)
LEFT JOIN headers h USING (header_key)
LEFT JOIN completions c
  ON c.completion_key = completion_key_of(a.request_key, coalesce(a.asked_of, $model), a.sampling_key, a.replica)
JOIN samples s ON s.prepared = $prepared AND s.ordinal = a.ordinal
WHERE list_contains($prompted, a.prompted) AND a.ordinal >= $start AND a.ordinal < $end
ORDER BY a.ordinal, a.replica, a.round, a.turn, a.role, asked_of
"""

Told = tuple[int, str, int, str, list[Message], list[Exchange]]
"""ordinal, sample key, replica, fields, the prompt, the exchanges."""


def transcripts(run: Run, benchmark: Benchmark, model: str, prompted: list[str]) -> Iterator[list[Told]]:
    """The transcripts of a benchmark's samples in chunks; a sample with an open or failed request is left out."""
    prepared = run.key_of("prepare", benchmark.id)
    prompter, delimiter = Prompter(benchmark), len(benchmark.prompt.delimiter)
    demos = recorded(run.ledger, run.key_of("prompt", benchmark.id, model))
    with run.ledger.read() as con:
        (count,) = con.execute("SELECT count(*) FROM samples WHERE prepared = ?", [prepared]).fetchall()[0]
    for start in range(0, count, CHUNK):
        place = {"prepared": prepared, "start": start, "end": start + CHUNK}
        with run.ledger.read() as con:
            rows = con.execute(TRANSCRIPTS, {"model": model, "prompted": prompted, **place}).fetchall()
        told = []
        for (ordinal, replica), group in groupby(rows, key=lambda row: (row[0], row[2])):
            turns = list(group)
            if all(row[11] is not None for row in turns):
                sample_key, fields = turns[0][1], turns[0][3]
                prompt = prompter.messages(loads(fields), demos.get(sample_key, ()))
                exchanges = [_exchange(run, row, delimiter) for row in turns]
                told.append((ordinal, sample_key, replica, fields, prompt, exchanges))
        yield told


def _exchange(run: Run, row: tuple[Any, ...], delimiter: int) -> Exchange:
    """A row as an exchange; the choices of the benchmark's own requests without the delimiter in front."""
    round_, turn, role, kind, header, messages, continuations, _, text, *numbers, finish, by = row[4:]
    choices = [choice if round_ else choice[delimiter:] for choice in continuations or ()]
    reply = reply_of([text, *numbers, choices, finish])
    question = Question(join_messages(header, messages), kind, continuations or (), role)
    return Exchange(round_, turn, question, reply, run.models[by].spec.label if by else "")


def reply_of(row: Sequence[Any]) -> Reply:
    """A reply from its columns, in the order of Reply's fields, its reasoning kept apart; NULL is nothing."""
    text, sums, tokens, greedy, prompt_sums, prompt_lengths, token_logprobs, choices, finish = row
    reply = Reply(
        text or "", sums or (), tokens or (), greedy or (), prompt_sums or (), prompt_lengths or (),
        token_logprobs or (), choices or (), finish or "",
    )  # fmt: skip
    return apart(reply)


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
