"""How sure lists of examples make a language model of an answer: questions to it like any other, answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.errors import ModelError
from assay.keys import key
from assay.prompt import Ask, Prompter, ask_of
from assay.retrieve_mdl import sureness
from assay.solve import Question
from assay.spec import Benchmark
from assay.types import Sample, Sampling
from storage.spool import answered
from tasks.collect import close
from tasks.columns import Columns
from tasks.context import Run, Subject
from tasks.examples import Case
from tasks.infer import Receipt, infer, load
from tasks.plan import plan
from tasks.progress import advance
from tasks.vectors import as_model_error

_ANSWERS = """
SELECT c.sums, c.tokens, f.error
FROM asked a
LEFT JOIN completions c ON c.completion_key = completion_key_of(a.request_key, $model, a.sampling_key, a.replica)
LEFT JOIN (SELECT request_key, arg_max(error, recorded) AS error FROM failures WHERE model_key = $model GROUP BY ALL) f
    ON f.request_key = a.request_key
WHERE a.prompted = $prompted ORDER BY a.ordinal, a.turn
"""


class Trials:
    """Asks a model for the log-probability of question and answer after a list of examples, for each choice.

    Raises ModelError where it does not load or one of the questions fails.
    """

    def __init__(self, run: Run, benchmark: Benchmark, prompter: Prompter, weigher: Subject) -> None:
        self.run, self.benchmark, self.prompter, self.weigher = run, benchmark, prompter, weigher
        self.asked = 0

    def __call__(self, trials: Sequence[tuple[Case, Sequence[Sequence[Sample]]]]) -> list[list[float]]:
        """How sure the model is after each list, for each question."""
        columns = Columns(self.benchmark, self.prompter, 0, Sampling())
        for place, (case, lists) in enumerate(trials):
            for turn, demos in enumerate(lists):
                columns.add_ask(place, case.sample_key, self._ask(case.sample, demos), 0, turn, "retriever")
        step_key = key("retrieve", self.weigher.key, [row[2] for row in columns.asked])
        with self.run.step("retrieve", self.benchmark.id, step_key, "asked", round=self.asked) as record:
            if record.fresh:
                columns.insert(self.run.ledger, step_key)
                record.rows = len(columns.asked)
        self.asked += 1
        self._have_answered(step_key)
        sure = iter(self._sure(step_key))
        return [[next(sure) for _ in lists] for _, lists in trials]

    def _ask(self, sample: Sample, demos: Sequence[Sample]) -> Ask:
        """The examples as one text, and after it the question with each of its answers."""
        before = self.prompter.description(sample) + "".join(map(self.prompter.demonstration, demos))
        delimiter, question = self.benchmark.prompt.delimiter, self.prompter.question(sample)
        texts = [(question if own is None else own) + delimiter + text for own, text in self.prompter.choices(sample)]
        return ask_of(Question([{"role": "user", "content": before}], "loglikelihood", texts))

    def _have_answered(self, step_key: str) -> None:
        """What is open goes the way of every question: claimed, asked, collected; but here, before the run's own."""
        name, model = self.benchmark.id, self.weigher.key
        asking = replace(
            self.run, benchmarks={name: self.benchmark}, models={model: self.weigher}, roles={"subject": (model,)},
            keys={("prompt", name, model, 0): step_key},
        )  # fmt: skip
        while shards := plan(asking, model):
            with as_model_error(self.weigher):
                loaded = load(self.weigher.spec, self.run.spec.catalog)
            for shard in shards:
                for batch in infer(loaded, self.run.spool, shard, answered(self.run.spool, shard), Receipt(shard)):
                    advance("infer", len(batch.completions), total=0)
            close(asking, shards)

    def _sure(self, step_key: str) -> list[float]:
        with self.run.ledger.read() as con:
            rows = con.execute(_ANSWERS, {"model": self.weigher.key, "prompted": step_key}).fetchall()
        for sums, _, error in rows:
            if sums is None:
                raise ModelError(f"{self.weigher.spec.label}, asked by a retriever: {error or 'no answer'}")
        return [sureness(sums, tokens) for sums, tokens, _ in rows]
