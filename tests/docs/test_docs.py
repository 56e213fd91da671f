"""The documents name what exists: links, paths, events, verbs, tests, libraries."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.docs.blocks import DOCS, ROOT

from medledger import roles
from medledger.chain.bindings import EVENTS
from medledger.cli.program import COMMANDS

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")
DECISIONS = ROOT / "docs" / "decisions"
PEOPLE = ("Supervisor", "Hospital", "Pharmacy", "Courier", "Payer", "Patient", "Auditor")
NAMES = [str(path.relative_to(ROOT)) for path in DOCS]


def anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links__to_files_and_headings__lead_somewhere(name: str) -> None:
    path = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path

        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", NAMES)
def test_paths__of_sources__exist(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    places = (ROOT, ROOT / "src" / "medledger", ROOT / "tests", ROOT / "contracts")
    files = re.findall(r"`([\w/]+/[\w]+\.(?:py|sol|json|js))[:`]", text)
    # Not what a reader makes: the tours' folder, and a deployment's.
    for file in (file for file in files if not file.startswith(("tour/", "deployments/"))):
        assert any((place / file).exists() for place in places), file


@pytest.mark.parametrize("name", NAMES)
def test_targets__of_make__exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / name).read_text("utf-8"), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/architecture.md"])
def test_tests__that_act_an_attack_out__exist(name: str) -> None:
    for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / name).read_text("utf-8")):
        assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), test


def test_lines_of_life__functions_named__exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## The life")[2]
    named = re.findall(r"`([\w/]+\.(?:py|sol))`, `(\w+)`", text)

    assert len(named) > 8
    for file, function in named:
        place = ROOT if file.endswith(".sol") else ROOT / "src" / "medledger"
        assert re.search(
            rf"\b(?:def|function|class) {function}\b", (place / file).read_text("utf-8")
        ), function


def test_readme__where_is__names_files_and_functions_that_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition("## Find your way")[2]
    rows = re.findall(r"\[[^\]]+\]\(([^)]+)\), `(\w+)`", text)

    assert len(rows) == 3
    for file, function in rows:
        assert re.search(rf"\b(?:def|function) {function}\(", (ROOT / file).read_text("utf-8"))


# Glossary


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_glossary__each_event__is_there(event: str) -> None:
    assert f"`{event}`" in GLOSSARY


@pytest.mark.parametrize("verb", COMMANDS)
def test_glossary__each_verb_of_the_command_line__is_in_its_column(verb: str) -> None:
    cells = [line.split("|")[5] for line in GLOSSARY.splitlines() if line.startswith("| **")]

    assert any(re.search(rf"`{verb}[ `]", cell) for cell in cells)


@pytest.mark.parametrize("role", PEOPLE)
def test_glossary__each_role__is_there(role: str) -> None:
    assert role in roles.__all__
    assert f"`{role}`" in GLOSSARY


def test_glossary__each_word__stands_once() -> None:
    rows = [line.split("|")[1] for line in GLOSSARY.splitlines() if line.startswith("| **")]
    words = [cell.strip() for row in rows for cell in re.split(r",(?= \*\*)", row)]

    assert len(words) == len(set(words))


def test_glossary__functions_and_events_of_solidity__exist() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "contracts").rglob("*.sol"))
    for line in GLOSSARY.splitlines():
        if line.startswith("| **"):
            for word in re.findall(r"`(?:\w+\.)?(\w+)`", line.split("|")[3]):
                # Paused and Unpaused are OpenZeppelin's.
                assert word in EVENTS or re.search(rf"\b{word}\b", sources), word


def test_glossary__methods_of_roles__exist() -> None:
    named = re.findall(r"`(\w+)\.(\w+)`", GLOSSARY)
    of_roles = [(role, method) for role, method in named if role in PEOPLE]

    assert len(of_roles) >= 30
    for role, method in of_roles:
        assert hasattr(getattr(roles, role), method), f"{role}.{method}"


# Decisions


def test_decisions__each__is_in_the_list_and_has_its_four_parts() -> None:
    index = (DECISIONS / "README.md").read_text("utf-8")
    listed = re.findall(r"\[(\d+)\]\((\d{4}-[\w-]+\.md)\) \| (.*) \|", index)
    files = sorted(path.name for path in DECISIONS.glob("0*.md"))

    assert [name for _, name, _ in listed] == files
    for number, name, title in listed:
        text = (DECISIONS / name).read_text("utf-8")
        assert text.startswith(f"# {number}. {title}\n")
        parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.M)
        assert parts == ["Context", "Decision", "Rejected", "Consequences"]


def test_libraries__of_the_project__each_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["gateway"], *extras["dev"]]
    text = (DECISIONS / "0012-libraries.md").read_text("utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    named = {name.strip() for cell in cells for name in cell.split(",")}

    found = {re.split(r"[<>=\[]", requirement)[0] for requirement in wanted} - {"medledger"}
    assert named - {"library"} == found
