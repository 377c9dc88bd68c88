"""assay sql: ask the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.run import ledger_option


@click.command("sql", short_help="Ask the ledger a question in SQL.")
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@ledger_option
def command(query: str | None, form: str, ledger: Path) -> None:
    """Ask the ledger a question in SQL, or one of the questions that come with assay, by name.

    Without a question: the tables and views there are, and the named questions.
    """
    import duckdb

    from assay.errors import SpecError, unknown
    from flows.show import show_rows
    from storage.ledger import Ledger
    from storage.queries import named_queries

    named = named_queries()
    if query is None:
        _what_there_is(Ledger(ledger), named)
        return
    text = named.get(query, query)
    with Ledger(ledger).read() as con:
        try:
            found = con.execute(text)
            names = [column[0] for column in found.description or []]
            rows = found.fetchall()
        except duckdb.Error as error:
            if " " not in query:
                raise SpecError(unknown("question by the name of", query, named)) from error
            raise SpecError(f"the ledger does not understand this: {error}") from error
    show_rows(names, rows, form)


def _what_there_is(ledger: object, named: dict[str, str]) -> None:
    from flows.show import show_rows
    from storage.ledger import Ledger

    assert isinstance(ledger, Ledger)
    with ledger.read() as con:
        rows = con.execute(
            "SELECT table_name, lower(replace(table_type, 'BASE ', '')),"
            " string_agg(column_name, ', ' ORDER BY ordinal_position)"
            " FROM information_schema.tables JOIN information_schema.columns USING (table_name)"
            " GROUP BY ALL ORDER BY 2 DESC, 1"
        ).fetchall()
    show_rows(("name", "kind", "columns"), rows)
    show_rows(
        ("question", "what it tells"), [(name, text.split("\n")[0].removeprefix("-- ")) for name, text in named.items()]
    )
