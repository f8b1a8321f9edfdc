"""The ledger's page: every formula of the shelf is typeset, and nothing that a claim says is markup."""

import re
from html.parser import HTMLParser

import pytest

from proofs_check.ledger import Entry
from proofs_check.report.page import _formula, write_page
from proofs_check.shelf import claims

HOSTILE = "<script>alert('1')</script> \"&$x$ $\\frac"


def entry(**changes):
    told = {"title": "t", "statement": "s", "tex": "x", "source": "ours", "kind": "bound", "hypotheses": []}
    return Entry(**{"id": "A-1", "area": "a", "promised": None, "verdict": "PROVED", **told, **changes})


class Tags(HTMLParser):
    """What a browser would read as elements."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def page(tmp_path, *entries):
    return write_page(list(entries), tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("id", claims())
def test_every_formula_of_the_shelf_is_typeset(id):
    assert _formula(claims()[id].tex).startswith("<p><math")


@pytest.mark.parametrize(
    "tex",
    [
        r"\frac",
        r"\nosuchcommand x",
        r"\left(",
        r"\text{<script>alert(1)</script>}",
        r"\text{<meta>}",
        r"\text{x<y}",
        r"\text{<mi onclick=\"x\">y</mi>}",
        r"\href{javascript:alert(1)}{x}",
    ],
)
def test_a_formula_that_cannot_be_typeset_costs_its_own_text_alone(tmp_path, tex):
    text = page(tmp_path, entry(tex=tex), entry(id="B-2", tex=r"x^2 < y"))
    tags = [tag for tag, _ in Tags(text).found]
    assert (tags.count("script"), tags.count("meta")) == (0, 2)
    assert text.count("<math") == 1
    assert "javascript" not in "".join(str(attrs) for _, attrs in Tags(text).found)
    assert tex.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;") in text
    assert re.search(r"<mo>&lt;</mo>", text)


def test_every_string_of_a_claim_is_text_on_the_page(tmp_path):
    rows = {
        "checks": [dict.fromkeys(("engine", "shows", "scope", "status", "detail"), HOSTILE) | {"of": [HOSTILE]}],
        "controls": [dict.fromkeys(("drops", "violation", "note"), HOSTILE)],
        "mutants": [dict.fromkeys(("name", "caught by", "proof", "witness"), HOSTILE)],
        "ratios": {HOSTILE: [0.5, 0.7]},
        "attained": {HOSTILE: 1.0},
    }
    words = dict.fromkeys(("id", "title", "statement", "tex", "source", "witness", "note", "shown_by"), HOSTILE)
    lists = {name: [HOSTILE] for name in ("hypotheses", "scope", "problems")}
    text = page(tmp_path, entry(**words, **lists, **rows))
    assert "<script" not in text
    assert text.count("alert(") >= 20
    assert not any(name.startswith("on") for _, attrs in Tags(text).found for name in attrs)
    section = next(attrs for tag, attrs in Tags(text).found if tag == "section")
    assert section["id"] == HOSTILE


def test_an_extremal_instance_that_reaches_nothing_leaves_its_mark_out(tmp_path):
    found = entry(ratios={"": [0.5]}, attained={"": 0.0})
    assert "<svg" in page(tmp_path, found, entry(id="B", ratios={"": [0.5]}, attained={"": float("inf")}))
