"""The verifier's page: two languages, nothing from elsewhere, no jargon."""

from __future__ import annotations

import re
from importlib.resources import files

import httpx
import pytest

from medledger.errors import EvidenceError
from medledger.gateway.page import preferred_language
from medledger.gateway.page.words import WORDS

FILES = ("page.html", "page.css", "page.js")


@pytest.mark.anvil
@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.5", "zh", "票据与处方真伪查验"),
        ("en-GB", "en", "Check a medical bill or prescription"),
    ],
)
def test_page__asked_for_in_a_language__is_in_it(
    stranger: httpx.Client, accepted: str, language: str, title: str
) -> None:
    response = stranger.get("/", headers={"Accept-Language": accepted})

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-language"] == language
    assert response.headers["vary"] == "Accept-Language"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert f'<html lang="{language}">' in response.text
    assert title in response.text
    assert "$" not in response.text


@pytest.mark.anvil
@pytest.mark.parametrize("name", ["page.js", "page.css"])
def test_page__its_script_and_style__come_from_here(stranger: httpx.Client, name: str) -> None:
    response = stranger.get(f"/{name}")

    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh"),
        ("fr", "zh"),
        ("fr, en;q=0.1", "en"),
        ("en;q=0.3, zh-Hant-TW;q=0.4", "zh"),
        ("en;q=nonsense", "zh"),
        ("*", "zh"),
    ],
)
def test_language__of_a_header__is_the_preferred_one(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


def test_words__of_both_languages__have_the_same_keys() -> None:
    first, second = WORDS.values()

    assert first.keys() == second.keys()
    assert first["fields"].keys() == second["fields"].keys()
    assert set(first["steps"]) == {kind.step for kind in EvidenceError.__subclasses__()}
    assert first["steps"].keys() == second["steps"].keys()


def test_page__all_that_a_patient_reads__has_no_jargon() -> None:
    shown = str(WORDS) + (files("medledger.gateway.page") / "page.html").read_text("utf-8")

    assert not re.search("blockchain|chain|ledger|hash|链|哈希|账本", shown, re.IGNORECASE)


@pytest.mark.parametrize("name", FILES)
def test_page__its_files__name_no_other_host(name: str) -> None:
    text = (files("medledger.gateway.page") / name).read_text("utf-8")

    assert not re.search(r"https?://|//[a-z]+\.", text)
    assert "innerHTML" not in text
