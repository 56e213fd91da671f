"""What every command is: `--json`, examples in its help, and a result that is shown one way.

@click.command("settle", cls=Command, examples=["medledger settle 46060126-0000000017 ..."])
def settle(...) -> Output: ...
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from medledger.cli.failures import did_you_mean, error_object, tell_people
from medledger.cli.output import Output, json_line, show

HELP_NAMES = {"help_option_names": ["-h", "--help"]}
"""On each command itself: click keeps the first help option that it makes, whoever asked for it."""


class Command(click.Command):
    """A command whose function returns an `Output`, or None where it has shown its own."""

    def __init__(self, *arguments: Any, examples: Sequence[str], **settings: Any) -> None:
        settings.setdefault("context_settings", HELP_NAMES)
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)
        self.params.append(
            click.Option(
                ["--json", "as_json"],
                is_flag=True,
                expose_value=False,
                callback=_remember,
                help="Write exactly one JSON object to standard output.",
            )
        )

    def invoke(self, ctx: click.Context) -> None:
        output = super().invoke(ctx)
        if not isinstance(output, Output):
            return
        failure = output.failure
        if wants_json(ctx):
            click.echo(json_line(dict(output.data) | (error_object(failure) if failure else {})))
        else:
            show(output.text)
        sys.stdout.flush()
        if failure is not None:
            if not wants_json(ctx):
                tell_people(failure, output.complaint)
            ctx.exit(failure.exit_code)

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                for line in _lines_of(example, formatter.width - formatter.current_indent):
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Family(click.Group):
    """A group of commands under one word; alone, it shows its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], names, n=1)
            raise click.UsageError(f"there is no command {args[0]!r}{did_you_mean(near)}", ctx)
        return super().resolve_command(ctx, args)


class DefaultFamily(Family):
    """A family whose own word alone, or with options, is one of its commands."""

    def __init__(self, *arguments: Any, default: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_plain = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        if is_plain and not ctx.resilient_parsing:
            args = [self._default, *args]
        return super().parse_args(ctx, args)


def wants_json(context: click.Context) -> bool:
    """Whether the running command was given `--json`."""
    return bool(context.meta.get(_JSON))


_JSON = "medledger.cli.json"


def _lines_of(example: str, width: int) -> list[str]:
    """The example in lines that a shell takes as one: it is there to be copied."""
    first, *options = example.split(" --")
    lines = [first]
    for option in options:
        if len(lines[-1]) + len(f" --{option} \\") <= width:
            lines[-1] += f" --{option}"
        else:
            lines[-1] += " \\"
            lines.append(f"    --{option}")
    return lines


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[_JSON] = value
