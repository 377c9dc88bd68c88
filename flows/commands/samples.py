"""assay samples: what was asked and answered, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.commands.run import ledger_option

QUERY = """
SELECT benchmark, model, sample_key, grp, metric, score, prediction, method, status, text, sums, continuations, finish,
       fields, header, messages, rendering
FROM lineage
WHERE run_id = $run AND ($benchmark IS NULL OR benchmark = $benchmark) AND ($model IS NULL OR model = $model)
  AND ($which = 'all' OR $which = 'right' AND score = 1 OR $which = 'wrong' AND coalesce(score, 0) < 1)
QUALIFY row_number() OVER (
    PARTITION BY benchmark, model, sample_key, replica, metric ORDER BY round DESC, turn DESC, choice
) = 1
ORDER BY benchmark, model, ordinal, replica, metric LIMIT $count
"""


EXAMPLES = """
SELECT d.place, d.score FROM demonstrations d JOIN steps s ON s.step_key = d.prompted
JOIN models m ON m.model_key = s.model_key
WHERE s.run_id = $run AND s.step = 'prompt' AND s.benchmark = $benchmark AND m.label = $model
  AND d.sample_key = $sample_key
ORDER BY d.rank
"""


@click.command("samples", short_help="Show what was asked and answered, sample by sample.")
@click.argument("run_id", required=False)
@click.option("-b", "--benchmark", help="Of this benchmark only.")
@click.option("-m", "--model", help="Of this model only, as tables call it.")
@click.option("--which", type=click.Choice(["all", "right", "wrong"]), default="all", show_default=True)
@click.option("-n", "count", type=click.IntRange(1), default=3, show_default=True, help="How many.")
@click.option("--prompt", "with_prompt", is_flag=True, help="With the whole prompt.")
@ledger_option
def command(
    run_id: str | None, benchmark: str | None, model: str | None, which: str, count: int, with_prompt: bool,
    ledger: Path,
) -> None:  # fmt: skip
    """Show samples of a run (the newest, unless one is named) with answers, what was read in them, and scores."""
    from assay.errors import SpecError, unknown
    from flows.show import printable
    from storage.ledger import Ledger

    with Ledger(ledger).read() as con:
        runs = [row[0] for row in con.execute("SELECT run_id FROM runs ORDER BY created DESC").fetchall()]
        if not runs or (run_id and run_id not in runs):
            raise SpecError(unknown("run", run_id, runs) if run_id else f"{ledger} has no run yet")
        run_id = run_id or runs[0]
        for name, given in (("benchmark", benchmark), ("model", model)):
            query = f"SELECT DISTINCT {name} FROM leaderboard WHERE run_id = ?"
            known = [row[0] for row in con.execute(query, [run_id]).fetchall()]
            if given is not None and given not in known:
                raise SpecError(unknown(f"{name} in the run {run_id}", given, known))
        asked = {"run": run_id, "benchmark": benchmark, "model": model, "which": which, "count": count}
        found = con.execute(QUERY, asked)
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        for row in rows:
            sample = {name: row[name] for name in ("benchmark", "model", "sample_key")}
            row["examples"] = con.execute(EXAMPLES, {"run": run_id, **sample}).fetchall()
    if rows and all(row["text"] is None and row["sums"] is None and row["fields"] is None for row in rows):
        raise SpecError(f"the texts of the run {run_id} were dropped by `assay data prune`; its scores are there")
    for row in rows:
        click.echo(printable(_written(row, with_prompt)))
    click.echo(f"{len(rows)} shown of the run {run_id}", err=True)


def _written(row: dict[str, Any], with_prompt: bool) -> str:
    """A sample for a person: its fields, the answer, what was read, the score."""
    import orjson

    group = f" ({row['grp']})" if row["grp"] else ""
    lines = [f"# {row['benchmark']}{group} {row['sample_key']}  {row['model']}"]
    if row["examples"]:
        told = (f"{place}{'' if score is None else f' ({score:.4g})'}" for place, score in row["examples"])
        lines.append(f"## examples: {', '.join(told)}")
    if with_prompt:
        lines += ["## prompt", row["rendering"] or _dialogue(row)]
    else:
        lines += [f"{name}: {value}" for name, value in orjson.loads(row["fields"]).items()]
    if row["sums"]:
        lines += [f"  {total:10.3f}  {text!r}" for total, text in zip(row["sums"], row["continuations"], strict=False)]
    else:
        lines += ["## answer", f"{row['text']}", f"## ends: {row['finish']}"]
    lines.append(f"## {row['metric']}: {row['score']}   read: {row['prediction']} ({row['method']}, {row['status']})")
    return "\n".join(lines) + "\n"


def _dialogue(row: dict[str, Any]) -> str:
    from assay.messages import join_messages

    return "\n".join(f"[{m['role']}] {m['content']}" for m in join_messages(row["header"], row["messages"]))
