"""The verifier's page: one drops an evidence file and sees whether it holds.

In Chinese or English, as the browser asks; everything comes from here, and nothing is kept.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Annotated

from fastapi import FastAPI, Header, Response

from medledger.gateway.page.words import WORDS

_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_to(app: FastAPI) -> None:
    """Serves the page at `/`, with its script and its style."""

    @app.get("/", include_in_schema=False)
    async def show(accept_language: Annotated[str, Header()] = "") -> Response:
        language = preferred_language(accept_language)
        headers = {**_HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
        return Response(_page(language), headers=headers, media_type="text/html")

    @app.get("/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(_file("page.js"), headers=_HEADERS, media_type="text/javascript")

    @app.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_file("page.css"), headers=_HEADERS, media_type="text/css")


def preferred_language(accept_language: str) -> str:
    """`zh` or `en`, whichever an Accept-Language header prefers; `zh` where it names neither.

    >>> preferred_language("fr, en-GB;q=0.8, zh;q=0.5")
    'en'
    """
    best, best_quality = "zh", 0.0
    for part in accept_language.split(","):
        tag, _, quality = part.partition(";q=")
        language = tag.strip().lower().partition("-")[0]
        try:
            value = float(quality) if quality else 1.0
        except ValueError:
            continue
        if language in WORDS and value > best_quality:
            best, best_quality = language, value
    return best


@cache
def _page(language: str) -> str:
    words = WORDS[language]
    # In a data attribute: a script element's text would need an escape of its own.
    values = {key: escape(text) for key, text in words.items() if isinstance(text, str)}
    return Template(_file("page.html")).substitute(
        values, language=language, words=escape(json.dumps(words, ensure_ascii=False))
    )


@cache
def _file(name: str) -> str:
    return (files("medledger.gateway.page") / name).read_text("utf-8")
