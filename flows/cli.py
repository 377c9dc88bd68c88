"""`assay`: the command line. One file a command in flows/commands; heavy imports happen inside the commands.

Exit 0 done; 1 done, with failed requests or benchmarks, which are named; 2 bad input, one message, nothing written;
130 interrupted, with the command that resumes.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

FOLDER = Path(__file__).parent / "commands"


class Commands(click.Group):
    """The commands by the names of their files; an unknown one says which is near."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands that there are, sorted."""
        return sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command, imported when it is first wanted."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"flows.commands.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; an unknown name is told with those that are near it."""
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            from assay.errors import unknown

            raise click.UsageError(unknown("command", args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="assay")
def assay() -> None:
    """Evaluate language models; ask the results questions in SQL.

    \b
    assay run examples/quickstart.yaml
    assay run -m hf:path/to/model -b gsm8k@cot -b mmlu --limit 100
    assay sql "FROM leaderboard"
    """


def main() -> None:
    """Run a command; what a person did wrong is told in one message, without a traceback."""
    try:
        sys.exit(assay(prog_name="assay", standalone_mode=False))  # a command's exit code is what comes back
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        more = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"assay: {error.format_message()}{more}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        from assay.errors import AssayError

        if not isinstance(error, AssayError):
            raise
        click.echo(f"assay: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
