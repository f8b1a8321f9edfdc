"""The ledger's page: formulas are typeset, nothing that a claim says is markup, links lead somewhere, filters fit."""

import base64
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest

from proofs_check.engines import kernel
from proofs_check.ledger import Entry, opened
from proofs_check.measured import recalled
from proofs_check.report.formulas import formula
from proofs_check.report.page import write_page
from proofs_check.shelf import claims
from proofs_check.trainings import Member

HOSTILE = "<script>alert('1')</script> \"&$x$ $\\frac"


def entry(**changes):
    told = {"title": "t", "statement": "s", "tex": "x", "source": "ours", "kind": "bound", "hypotheses": []}
    return Entry(**{"id": "A-1", "area": "a", "promised": None, "verdict": "PROVED", **told, **changes})


class Tags(HTMLParser):
    """What a browser would read as elements, and the text within each kind of them."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def all(self, kind, **wanted):
        """Attributes of elements of a kind."""
        return [attrs for tag, attrs in self.found if tag == kind and wanted.items() <= attrs.items()]

    def within(self, kind):
        """Texts inside elements of a kind."""
        return [text for tags, text in self.texts if kind in tags]


def page(tmp_path, *entries):
    return write_page(list(entries), tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shelf():
    """The whole shelf with theorems of the kernel and the record of trained stacks; nothing is judged."""
    made = [recalled(claim) if claim.kind == "trained" else opened(claim) for claim in claims().values()]
    for row in made:
        row.verdict = row.verdict or "PROVED"
        for part, names in claims()[row.id].kernel.items():
            told = [kernel.theorems()[name] for name in ([names] if isinstance(names, str) else names)]
            more = {"part": part, "base": "Coq kernel", "tie": "exact evaluation"}
            row.kernel += [{"theorem": one.name, "words": one.words, "formal": one.formal} | more for one in told]
    return made


@pytest.fixture(scope="module")
def whole(shelf, tmp_path_factory):
    return page(tmp_path_factory.mktemp("page"), *shelf)


@pytest.mark.parametrize("id", claims())
def test_every_formula_of_the_shelf_is_typeset(id):
    assert formula(claims()[id].tex).startswith('<p class="wide"><math')


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
    assert (tags.count("script"), tags.count("meta")) == (1, 3)  # those of the frame
    assert text.count("<math") == 1
    assert "javascript" not in "".join(str(attrs) for _, attrs in Tags(text).found)
    assert tex.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;") in text
    assert re.search(r"<mo>&lt;</mo>", text)


def hostile():
    """An entry of which every text is hostile."""
    rows = {
        "checks": [dict.fromkeys(("engine", "shows", "scope", "status", "detail"), HOSTILE) | {"of": [HOSTILE]}],
        "kernel": [dict.fromkeys(("theorem", "part", "words", "formal", "base", "tie"), HOSTILE)],
        "controls": [dict.fromkeys(("drops", "violation", "note"), HOSTILE)],
        "mutants": [dict.fromkeys(("name", "caught by", "proof", "witness"), HOSTILE)],
        "refutes": dict.fromkeys(("words", "version", "against"), HOSTILE),
        "trainings": [{"world": HOSTILE, "world seed": 1, "seeds": [1]}],
        "held": {HOSTILE: [1, 2, 0.1, 0.9]},
        "members": {HOSTILE: [Member(HOSTILE, 0.1, 0.2, False, True)]},
        "ratios": {HOSTILE: [0.5, 0.7]},
        "attained": {HOSTILE: 1.0},
        "void": {HOSTILE: HOSTILE},
        "sees": {HOSTILE: 0.1},
    }
    words = ("id", "area", "title", "statement", "tex", "source", "witness", "note", "shown_by", "grade", "kind")
    words += ("sizes", "fragile")
    lists = {name: [HOSTILE] for name in ("hypotheses", "scope", "problems", "bases")}
    return entry(**dict.fromkeys(words, HOSTILE), **lists, **rows)


@pytest.mark.parametrize("trained", [True, False])
def test_every_string_of_a_claim_is_text_on_the_page(tmp_path, trained):
    told = hostile()
    told.trainings *= trained
    text = page(tmp_path, told, entry(note=HOSTILE))
    tags = Tags(text)
    assert len(tags.all("script")) == text.count("<script") == 1
    assert "alert" not in "".join(tags.within("script") + tags.within("style"))
    assert text.count("alert(") >= 50
    assert not any(name.startswith("on") for _, attrs in tags.found for name in attrs)
    first = tags.all("section")[0]
    assert (first["id"], first["data-area"], first["data-base"]) == (HOSTILE, HOSTILE, HOSTILE)


def test_only_the_frames_own_style_and_script_may_run_and_nothing_is_fetched(whole):
    tags = Tags(whole)
    (policy,) = (meta["content"] for meta in tags.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", whole, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not any(
        {"style", "src", "srcset", "action"} & attrs.keys() for _, attrs in tags.found
    )  # policy forbids them
    assert not re.findall(r"url\(|@import|https?:", "".join(tags.within("style") + tags.within("script")))


def test_links_lead_to_what_is_on_the_page(whole):
    tags = Tags(whole)
    ids = Counter(attrs["id"] for _, attrs in tags.found if "id" in attrs)
    assert max(ids.values()) == 1
    links = [attrs["href"] for attrs in tags.all("a")]
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    assert set(claims()) <= {link[1:] for link in links} <= ids.keys()


def test_a_claim_links_to_those_it_names_and_is_told_who_names_it(tmp_path):
    named = entry(id="B-1", note="B-1 is as A-1, but not A-12, XA-1 or C-9")
    text = page(tmp_path, entry(), named, entry(id="A-12"))
    assert 'is as <a href="#A-1">A-1</a>, but not <a href="#A-12">A-12</a>, XA-1 or C-9' in text
    assert text.count('<dt>Named by</dt><dd><a href="#B-1">B-1</a></dd>') == text.count("Named by") == 2


def test_filters_offer_what_the_claims_have_and_how_many(tmp_path):
    told = [
        entry(bases=["Z3", "Coq kernel"], sizes="for all sizes; shipped loops: k = 1..4", grade="ours"),
        entry(id="B-1", area="b", bases=["Z3"], sizes="for all sizes 2 of 3", grade="exact", verdict="PROVED in part"),
        entry(id="B-2", area="b", bases=["Z3"], sizes="sizes up to n = 4", verdict="PROVED in part", grade="ours"),
        entry(id="B-3", area="b", verdict="SUPPORTED", grade="ours"),
    ]
    text = page(tmp_path, *told)
    sections = {attrs["id"]: attrs for attrs in Tags(text).all("section")}
    assert [attrs["data-sizes"] for attrs in sections.values()] == [
        "for all sizes",
        "for all sizes in part",
        "up to sizes named",
        "sampled or measured",
    ]
    for name in ("area", "verdict", "base", "sizes", "grade"):
        (select,) = re.findall(f'<select name="{name}">(.*?)</select>', text)
        offered = {value: int(count) for value, count in re.findall(r'value="([^"]+)">[^<]+\((\d+)\)', select)}
        assert offered == Counter(value for attrs in sections.values() for value in attrs[f"data-{name}"].split("|"))
    assert [attrs["data-of"] for attrs in Tags(text).all("tr") if "data-of" in attrs] == [*sections]


def test_a_formal_statement_stands_beside_the_words_in_a_fold(whole, shelf):
    told = next(row for row in shelf if row.kernel)
    (section,) = re.findall(f'<section id="{told.id}".*?</section>', whole, re.S)
    folded = Tags("".join(re.findall("<details>.*?</details>", section, re.S)))
    for row in told.kernel:
        assert row["words"] in folded.within("p")
        assert f"{row['theorem']} :=\n{row['formal']}" in folded.within("pre")


def circles(text):
    """(whether it holds, place in percent) of each member drawn, those of rates apart."""
    return [(attrs["class"] == "holds", float(attrs["cx"][:-1])) for attrs in Tags(text).all("circle", r="3.5")]


@pytest.mark.parametrize("upper", [True, False])
def test_members_stand_on_their_side_of_a_threshold(tmp_path, upper):
    values = [0.1, 0.4, 0.5, 0.7]
    sides = [(value, 0.5, value <= 0.5) if upper else (0.5, value, value >= 0.5) for value in values]
    members = [Member(f"seed {i}", low, high, False, holds) for i, (low, high, holds) in enumerate(sides)]
    count = sum(member.holds for member in members)
    told = entry(held={"": [count, 4, 0.2, 0.9]}, members={"": members}, thresholds={"": 0.5}, kind="trained")
    text = page(tmp_path, told)
    edge = next(float(attrs["x1"][:-1]) for attrs in Tags(text).all("line") if attrs["class"] == "edge")
    found = circles(text)
    assert [holds for holds, _ in found] == [member.holds for member in members]
    assert all(holds == (at <= edge if upper else at >= edge) for holds, at in found)
    assert [at for _, at in found] == sorted(at for _, at in found)
    (good,) = Tags(text).all("rect")
    start, width = float(good["x"][:-1]), float(good["width"][:-1])
    assert all(holds == (start <= at <= start + width) for holds, at in found)
    assert f"{'at most' if upper else 'at least'} 0.5" in text
    assert f"holds in {count} of 4: a rate of 0.2 to 0.9" in text


def test_members_without_a_threshold_stand_by_bound_less_measured(tmp_path):
    members = [Member("seed 1", 3.0, 2.0, False, False), Member("seed 2", 1.0, 1.5, False, True)]
    text = page(tmp_path, entry(held={"p": [1, 2, 0.1, 0.9]}, members={"p": members}, kind="trained"))
    assert circles(text) == [(False, 2.0), (True, 98.0)]
    assert "bound less measured, at least 0" in text


@pytest.mark.parametrize("id", [id for id, claim in claims().items() if claim.kind == "trained"])
def test_the_record_has_the_members_that_were_counted(id):
    told = recalled(claims()[id])
    assert told.held
    for part, (count, of, *_) in told.held.items():
        members = told.members[part]
        assert (sum(member.holds for member in members), len(members)) == (count, of)


def test_the_page_of_a_whole_ledger_stays_below_five_megabytes(shelf, tmp_path):
    ratios = {f"part {i}": [j / 300 for j in range(300)] for i in range(6)}
    row = dict.fromkeys(("name", "caught by", "proof", "witness", "drops", "violation", "note"), "word " * 30)
    proof = dict.fromkeys(("engine", "shows", "scope", "status", "detail"), "word " * 8) | {"of": ["part"] * 6}
    rows = {"ratios": ratios, "controls": [row] * 3, "mutants": [row] * 6, "checks": [proof] * 15}
    heavy = [entry(**vars(told) | rows) for told in shelf]
    assert len(page(tmp_path, *heavy).encode()) < 5e6


def test_an_extremal_instance_that_reaches_nothing_leaves_its_mark_out(tmp_path):
    found = entry(ratios={"": [0.5]}, attained={"": 0.0})
    text = page(tmp_path, found, entry(id="B", ratios={"": [0.5]}, attained={"": float("inf")}))
    assert text.count('class="ticks"') == 2
    assert 'class="extremal"' not in text
    assert 'class="extremal" d="M980 ' in page(tmp_path, entry(ratios={"": [0.5]}, attained={"": 1.0}))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, to run the page's script")
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["A-1", "B-1", "B-2"]),
        ("?area=b&verdict=REFUTED", ["B-2"]),
        ("?base=Coq+kernel&words=WELCH+a-1", ["B-1"]),
        ("?words=welch+h2", ["B-2"]),
        ("?words=nothing-like-it", []),
    ],
)
def test_a_browser_shows_what_is_asked_for_without_a_complaint(tmp_path, query, shown):
    told = [
        entry(),
        entry(id="B-1", area="b", bases=["Z3", "Coq kernel"], note="welch, and A-1"),
        entry(id="B-2", area="b", verdict="REFUTED", statement="h² against Welch"),
    ]
    page(tmp_path, *told)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}/user",
    ]
    url = f"{(tmp_path / 'page.html').as_uri()}{query}"
    done = subprocess.run([CHROMIUM, *flags, "--dump-dom", url], capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr
    tags = Tags(done.stdout)
    assert [attrs["id"] for attrs in tags.all("section") if "hidden" not in attrs] == shown
    for kind in ("tr", "a"):
        of = [attrs["data-of"] for attrs in tags.all(kind) if "data-of" in attrs and "hidden" not in attrs]
        assert of == shown
    assert "".join(tags.within("output")) == f"{len(shown)} of 3 claims"
