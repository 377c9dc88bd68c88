"""How a nightly ledger grows: a year of checkpoints, written as rows, asked before and after `assay data prune`.

    python bench/growth.py [--nights 365] [--samples 10000] [--keep 30]

What is simulated: a run a night, each of a new checkpoint of one family, a base model without a template, on the same
suite of twenty benchmarks, which share the samples out. Ten are written (an answer of 60 words, read and scored once),
ten chosen (four choices: four sums, read by two filters and scored twice, in ten groups). All nights share samples,
headers, requests and what was asked, as real ones do; completions, predictions, scores, metrics, steps and shards are
each night's own, under keys that are hashes as real ones are. The words are made up, and some are drawn more often than
others, as in real texts. No model is run: a night's rows are written by SQL in one transaction, and a checkpoint
follows, as at the end of a run. Each question is asked as a command asks it, the ledger opened for it. Seconds are
of the processor, on both of its threads, so that they can be compared where others are busy too; the best of three.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage.ledger import Ledger
from storage.prune import prune
from storage.steps import open_requests

SETUP = """
CREATE OR REPLACE TEMP MACRO key(x) AS left(sha256(x), 32);
CREATE OR REPLACE TEMP MACRO noise(x) AS hash(x) % 1000003 / 1000003.0;
CREATE OR REPLACE TEMP MACRO words(seed, count) AS
    list_aggregate([getvariable('vocabulary')[1 + (4999 * noise(seed || w) ** 3)::INT] FOR w IN range(count)],
                   'string_agg', ' ');
SET VARIABLE vocabulary = (SELECT list(left(sha256('w' || i), 2 + (hash(i) % 7)::INT)) FROM range(5000) t(i));
CREATE OR REPLACE TEMP TABLE sample AS
SELECT 'b' || i % 20 AS benchmark, i // 20 AS ordinal, i % 20 < 10 AS written, key('sample' || i) AS sample_key,
       key('request' || i) AS request_key, 'g' || i % 10 AS grp
FROM range($samples) t(i);
"""
SHARED = """
INSERT INTO samples SELECT key('prepare' || benchmark), ordinal, sample_key, if(written, '', grp), '',
       json_object('input', words(sample_key, 60), 'target', (ordinal % 100)::VARCHAR) FROM sample;
INSERT INTO headers SELECT key('header' || i), json_array(json_object('role', 'user', 'content', words('h' || i, 400)))
FROM range(20) t(i);
INSERT INTO requests SELECT request_key, if(written, 'generate', 'loglikelihood'), key('header' || benchmark[2:]),
       json_array(json_object('role', 'user', 'content', words(request_key, 60))),
       if(written, [], [' A', ' B', ' C', ' D']), [] FROM sample;
INSERT INTO asked SELECT key('prompt' || benchmark), ordinal, sample_key, request_key, 'subject', -1, 0, 0, 0,
       '{"max_tokens":256,"stop":["Question:"],"temperature":0.0,"top_p":1.0,"top_k":0,"min_tokens":0,"replicas":1}',
       key('greedy' || written), 0, '"1"', NULL FROM sample;
INSERT INTO recipes SELECT key('recipe' || i), 'b' || i, '', 'd' || i % 5, words('recipe' || i, 200)
FROM range(20) t(i);
"""
NIGHT = """
INSERT INTO runs (run_id, spec, spec_hash, state, created, finished, host, versions)
SELECT $run, words('spec', 100), $run, 'done', $at, $at, 'host', words('versions', 40);
INSERT INTO models
SELECT $model, 'tiny-' || $night, 'hf', '/tiny', words($model, 40), words('facts', 40), false, 'tiny', $night;
INSERT INTO completions
SELECT completion_key_of(request_key, $model, key('greedy' || written), 0), request_key, $model,
       key('greedy' || written), 0, if(written, words(request_key || $model, 60), NULL),
       if(written, [], [-8 * noise(request_key || $model || c) FOR c IN range(4)]), if(written, [], [1, 1, 1, 1]),
       if(written, [], [false, true, false, false]), [], [], [], if(written, 'stop', ''), 900, if(written, 80, 0), 0,
       $at, $run FROM sample;
INSERT INTO predictions
SELECT key('predict' || $run || benchmark), ordinal, sample_key, 0, filter,
       if(written, '"' || hash(sample_key, $run) % 100 || '"', (hash(sample_key, $run) % 4)::VARCHAR),
       if(written, 'last_number', 'argmax'), 'ok'
FROM sample, unnest(if(written, [''], ['raw', 'norm'])) f(filter);
INSERT INTO scores
SELECT key('score' || $run || benchmark), ordinal, sample_key, 0, filter,
       if(written, 'number_match', if(filter = 'raw', 'acc', 'acc_norm')), (hash(sample_key, $run) % 3 = 0)::DOUBLE, 1,
       if(written, NULL, '{"pred":' || hash(sample_key, $run) % 4 || ',"gold":1}')
FROM sample, unnest(if(written, [''], ['raw', 'norm'])) f(filter);
INSERT INTO steps
SELECT $run, step, 'b' || i, if(step = 'prepare', '', $model), 0, key(step || if(shared, '', $run) || 'b' || i),
       'done', $samples // 20, 1.5, $at, NULL
FROM range(20) t(i), (VALUES ('prepare', true), ('prompt', true), ('predict', false), ('score', false)) s(step, shared);
UPDATE steps SET step = 'postprocess' WHERE step = 'predict' AND run_id = $run;
INSERT INTO metrics
SELECT $run, $model, key('recipe' || i), 'b' || i, 'd' || i % 5, metric, if(g = 0, 'micro', 'group'),
       if(g = 0, '', 'g' || g), noise($run || i || g), 0.01, 0.3, 0.4, $samples // 20, 0, 'wilson', g = 0, metric,
       filter, NULL, 0, true
FROM range(20) t(i), (VALUES ('number_match', '', true), ('acc', 'raw', false), ('acc_norm', 'norm', false))
     m(metric, filter, written), range(11) r(g)
WHERE written = (i < 10) AND (g = 0 OR NOT written);
INSERT INTO shards (run_id, shard, model_key, round, requests, cost, path, state, started, finished)
SELECT $run, 's' || i, $model, 0, $samples // 8, 1.0, '/s', 'done', $at, $at FROM range(8) t(i);
"""
NEWEST = "SET VARIABLE newest = (SELECT max(run_id) FROM runs); FROM {} WHERE run_id = getvariable('newest')"
SAMPLE = " AND benchmark = 'b3' AND sample_key = left(sha256('sample3'), 32)"


def run(con: Any, queries: str, **values: Any) -> None:
    for query in filter(str.strip, queries.split(";\n")):
        con.execute(query, {name: value for name, value in values.items() if f"${name}" in query})


def write(book: Ledger, night: int, nights: int, samples: int) -> float:
    """A night's rows; the seconds that they took."""
    at = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=nights - night)
    name, model = f"{at:%Y%m%d-%H%M%S}-{night:06x}", f"{night:032x}"
    start = time.process_time()
    with book.kept():
        with book.write() as con:
            run(con, SETUP + (SHARED if night == 1 else ""), samples=samples)
            run(con, NIGHT, run=name, model=model, night=night, at=at, samples=samples)
        book.checkpoint()
    return time.process_time() - start


def asked(book: Ledger, query: str) -> float:
    """Seconds of a question, the ledger's opening included."""
    start = time.process_time()
    with book.read() as con:
        con.execute(query).fetchall()
    return time.process_time() - start


def new_night(book: Ledger, samples: int) -> float:
    """Seconds until it is known what has to be asked of a new checkpoint."""
    start = time.process_time()
    with book.write() as con:
        keys = [key for (key,) in con.execute("SELECT DISTINCT prompted FROM asked").fetchall()]
        assert open_requests(con, "new", "f" * 32, keys).open == samples
    return time.process_time() - start


def measured(book: Ledger, samples: int) -> dict[str, float]:
    """MiB of the file, and seconds of each question, the best of three times."""
    questions: dict[str, Callable[[], float]] = {
        "open": lambda: asked(book, "SELECT 1"),
        "leaderboard": lambda: asked(book, "FROM leaderboard"),
        "latest": lambda: asked(book, "FROM latest"),
        "checkpoints": lambda: asked(book, "FROM checkpoints"),
        "what is new to ask": lambda: new_night(book, samples),
        "lineage of a sample": lambda: asked(book, NEWEST.format("lineage") + SAMPLE),
        "lineage of a run": lambda: asked(book, NEWEST.format("lineage")),
        "problems of a run": lambda: asked(book, NEWEST.format("problems")),
        "cost of a run": lambda: asked(book, NEWEST.format("cost")),
        "cost of all runs": lambda: asked(book, "FROM cost"),
    }
    size = {"file, MiB": book.path.stat().st_size / 2**20}
    return size | {f"{name}, s": min(ask() for _ in range(3)) for name, ask in questions.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--nights", type=int, default=365)
    options.add_argument("--samples", type=int, default=10_000, help="of all benchmarks, a night")
    options.add_argument("--keep", type=int, default=30, help="days")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        book, found = Ledger(Path(place) / "l.duckdb"), {}
        for night in range(1, given.nights + 1):
            seconds = write(book, night, given.nights, given.samples)
            if night in (7, given.nights):
                found[f"night {night}"] = measured(book, given.samples) | {"writing a night, s": seconds}
        start = time.process_time()
        told = prune(book, Path(place) / "l.duckdb.spool", timedelta(days=given.keep))
        took, rows = time.process_time() - start, sum(one.rows for one in told.going)
        found["pruned"] = measured(book, given.samples)
        found["pruned"]["writing a night, s"] = write(book, given.nights + 1, given.nights, given.samples)
    show(found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"pruned to {given.keep} days: {rows:,} rows of {told.runs} runs in {took:.1f} s; peak memory {peak:.2f} GiB")


def show(found: dict[str, dict[str, float]]) -> None:
    """A line a measure, a column a time, and its ratio to the first time."""
    first, *later = found.values()
    print(f"{'':<24}" + "".join(f"{name:>18}" for name in found))
    for what, start in first.items():
        cells = "".join(f"{one[what]:10.3f} ({one[what] / start:4.1f}x)" for one in later)
        print(f"{what:<24}{start:18.3f}{cells}")


if __name__ == "__main__":
    main()
