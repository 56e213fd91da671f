"""Help: quick, complete, runnable, and the same as in docs/cli.md."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.running import PROGRAM, clean_environment, run

from medledger.cli import main
from medledger.cli.command import Command, Family
from medledger.cli.program import COMMANDS, SECTIONS
from medledger.cli.reference import MEANINGS, WIDTH, commands, errors_by_code, reference
from medledger.errors import MedledgerError

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
HEAVY = {"web3", "sqlalchemy", "eth_account", "eth_abi", "requests", "pydantic", "rich", "fastapi"}
ALL = commands()


def kinds_of(kind: type[MedledgerError]) -> list[type[MedledgerError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in kinds_of(child))]


def live_help(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main([*path.split()[1:], "--help"], terminal_width=WIDTH)
    assert end.value.code == 0
    return capsys.readouterr().out


def test_document__of_all_commands__is_what_the_program_writes() -> None:
    assert DOCUMENT.read_text("utf-8") == reference(), (
        "write it again: python -m medledger.cli.reference > docs/cli.md"
    )


@pytest.mark.parametrize("path", ["medledger", *ALL])
def test_document__of_each_command__has_its_live_help(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"```text\n{live_help(path, capsys)}```\n" in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize("kind", kinds_of(MedledgerError))
def test_document__every_error__stands_in_the_row_of_its_exit_code(
    kind: type[MedledgerError],
) -> None:
    rows = [
        line for line in DOCUMENT.read_text("utf-8").splitlines() if f"`{kind.__name__}`" in line
    ]

    assert [row.split("|")[1].strip() for row in rows] == [str(kind.exit_code)]


def test_exit_codes__of_all_errors__have_a_meaning() -> None:
    assert set(errors_by_code()) <= set(MEANINGS)


def test_commands__of_all_sections__each_name_stands_once() -> None:
    assert len(COMMANDS) == sum(len(section) for section in SECTIONS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_sentence__in_the_list_of_commands__is_the_commands_own(name: str) -> None:
    command = ALL[f"medledger {name}"]

    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]


@pytest.mark.parametrize(
    ("path", "command"),
    [(path, command) for path, command in ALL.items() if not isinstance(command, click.Group)],
)
def test_command__each__takes_json_and_has_examples_and_a_sentence_for_each_option(
    path: str, command: click.Command
) -> None:
    assert isinstance(command, Command)
    assert command.examples
    assert any("--json" in option.opts for option in command.params)
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help is not None
            assert option.help.endswith(".")
            assert option.help[0].isupper() or option.help[0] == "`"


@pytest.mark.parametrize(
    ("path", "example"),
    [
        (path, example)
        for path, command in ALL.items()
        if isinstance(command, Command)
        for example in command.examples
    ],
)
def test_example__in_help__has_only_options_that_the_command_has(path: str, example: str) -> None:
    words = shlex.split(example, comments=True)
    options = {option for parameter in ALL[path].params for option in parameter.opts}

    assert example.startswith(path)
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if type(command) is Family])
def test_family__alone__shows_its_commands(path: str) -> None:
    assert "\nCommands:\n" in run(*path.split()[1:]).out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["issue", "--help"], ["chain"]])
def test_help__of_the_program_and_of_a_command__imports_nothing_heavy(
    arguments: list[str],
) -> None:
    script = (
        "import sys\n"
        "from medledger.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    if arguments == ["chain"]:
        arguments = ["chain", "--prot"]

    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )

    assert not HEAVY & set(ran.stderr.split())


def complete(*words: str) -> list[str]:
    """What bash would propose for the last word."""
    ran = subprocess.run(
        [str(PROGRAM)],
        capture_output=True,
        text=True,
        env=clean_environment(
            _MEDLEDGER_COMPLETE="bash_complete",
            COMP_WORDS=shlex.join(["medledger", *words]),
            COMP_CWORD=str(len(words)),
        ),
    )
    return [line.partition(",")[2] for line in ran.stdout.splitlines()]


def test_completion__commands_options_and_choices__are_proposed() -> None:
    assert complete("re") == [
        *("renew", "reinstate", "release", "reverse", "request-cancel", "record"),
        *("review", "return", "release-claim"),
    ]
    assert complete("key", "") == ["new", "address"]
    assert complete("settle", "--am") == ["--amount-minor"]
    assert complete("allot", "--kind", "p") == ["prescription"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion__script__is_clicks_own(shell: str) -> None:
    ran = subprocess.run(
        [str(PROGRAM)],
        capture_output=True,
        text=True,
        env=clean_environment(_MEDLEDGER_COMPLETE=f"{shell}_source"),
    )

    assert ran.returncode == 0
    assert "_MEDLEDGER_COMPLETE" in ran.stdout
