"""docs/cli.md, written from the commands and the error tree themselves.

    python -m medledger.cli.reference > docs/cli.md

A test compares the file with this text, so that neither help nor exit codes can drift.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from medledger.cli.program import SECTIONS, main
from medledger.cli.session import PASSWORD_FILE
from medledger.errors import MedledgerError

WIDTH = 88

MEANINGS = {
    0: "Done.",
    1: "Something unexpected; `MEDLEDGER_DEBUG=1` shows where. Also: standard output was closed.",
    2: "The command line itself is wrong.",
    3: "What was given cannot be taken.",
    4: "A contract refused.",
    5: "Evidence does not hold.",
    6: "The chain cannot be used.",
    7: "Keys, manifest, store or files are missing or wrong.",
    8: "The chain and the records disagree.",
    130: "Interrupted (Ctrl-C).",
}

INTRODUCTION = """\
# Command line

Written by `python -m medledger.cli.reference > docs/cli.md`; a test compares it with `--help`.

## Output

- The result is on standard output, everything else on standard error. Progress bars appear only
  where standard error is a terminal.
- `--json` makes standard output exactly one JSON object, on one line, whatever happens. A failure
  is `{"error": {"code": "...", "message": "...", "hint": "...", ...}}` with the values that the
  message names; where there is a result all the same (`verify`, `audit`, `issue`), `error` stands
  in it. `evidence` and `authorise` without `--out` write the file's own JSON.
- Document numbers are `46060126-0000000017`: bill code and bill number. The dash may be left out
  in arguments.
- Amounts are whole minor units of the currency (fen, cents), and the options say so:
  `--amount-minor 2500` is 25.00.
- Times in JSON are Unix seconds. People see UTC, ISO 8601. Arguments take both.
- A failure is one line on standard error: what was expected, what was found, what to do. No error
  shows a document, a salt or a key.

## Exit codes
"""

COMPLETION = """\
## Shell completion

`medledger` completes commands, options and file names:

```sh
eval "$(_MEDLEDGER_COMPLETE=bash_source medledger)"   # in ~/.bashrc
eval "$(_MEDLEDGER_COMPLETE=zsh_source medledger)"    # in ~/.zshrc
_MEDLEDGER_COMPLETE=fish_source medledger | source    # in ~/.config/fish/config.fish
```
"""


def reference() -> str:
    """The whole text of docs/cli.md."""
    parts = [INTRODUCTION, _exit_codes(), _settings(), COMPLETION, "## Commands\n"]
    with _root() as root:
        parts.append(_block(main.get_help(root)))
        for section, names in SECTIONS.items():
            parts.append(f"### {section}\n")
            parts += [
                _help(command, context)
                for name in names
                for command, context in _tree(main, name, root)
            ]
    return "\n".join(parts)


def errors_by_code() -> dict[int, list[str]]:
    """The names of all errors, by the exit code that they end a command with."""
    found: dict[int, list[str]] = {}
    for kind in _subclasses(MedledgerError):
        found.setdefault(kind.exit_code, []).append(kind.__name__)
    return found


def commands() -> dict[str, click.Command]:
    """Every command by its whole name: `medledger key new`."""
    with _root() as root:
        return {
            context.command_path: command
            for section in SECTIONS.values()
            for name in section
            for command, context in _tree(main, name, root)
        }


def _tree(
    group: click.Group, name: str, parent: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and, after it, the commands of its family."""
    command = group.get_command(parent, name)
    if command is None:
        return
    context = click.Context(command, parent=parent, info_name=name)
    yield command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _tree(command, inner, context)


def _help(command: click.Command, context: click.Context) -> str:
    return f"#### `{context.command_path}`\n\n{_block(command.get_help(context))}"


def _block(text: str) -> str:
    return f"```text\n{text}\n```\n"


def _root() -> click.Context:
    return click.Context(main, info_name="medledger", terminal_width=WIDTH, **main.context_settings)


def _exit_codes() -> str:
    names = errors_by_code()
    rows = ["| code | meaning | errors |", "|---|---|---|"]
    for code, meaning in sorted(MEANINGS.items()):
        listed = ", ".join(f"`{name}`" for name in names.get(code, []))
        rows.append(f"| {code} | {meaning} | {listed} |")
    return "\n".join(rows) + "\n"


def _settings() -> str:
    options: dict[str, str] = {}
    for command in commands().values():
        for option in command.params:
            if isinstance(option, click.Option) and isinstance(option.envvar, str):
                options[option.envvar] = f"`{option.opts[0]}`: {option.help}"
    options[PASSWORD_FILE] = "File with the password of an encrypted key; without it one is asked."
    options["MEDLEDGER_DEBUG"] = "`1` adds the traceback to every error."
    rows = ["## Environment", "", "| variable | stands for |", "|---|---|"]
    rows += [f"| `{name}` | {text} |" for name, text in sorted(options.items())]
    rows += ["", "A key is never an argument nor an environment variable: both can be seen.\n"]
    return "\n".join(rows)


def _subclasses(kind: type[MedledgerError]) -> Iterator[type[MedledgerError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
