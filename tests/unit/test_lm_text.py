"""Text: documents from files, folders, a tagged Brown corpus and the hub; packing into sequences of tokens."""

from itertools import chain
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from lm import BOS, language_model, texts  # noqa: E402

import workbench.lm.text as text_module  # noqa: E402
from workbench.lm.packing import PAD, packed  # noqa: E402
from workbench.lm.text import Document, brown_document, documents, joined, tagged_words  # noqa: E402

SAMPLE = """
\tThe/at Jury/nn-tl said/vbd ``/`` no/at evidence/nn ''/'' that/cs (/( 1/2/cd of/in )/) it/pps ,/, took/vbd place/nn ./.


\t``/`` Is/bez and/or/cc right/jj ''/'' ?/.
caf\xe9/nn cost/vbd $/nil 5/cd :/: 50/cd %/nn ;/. isn't/bez* --/-- a/at b/c/d/fw-nn-tl
untagged /nn word/
"""
PLAIN = """The Jury said "no evidence" that (1/2 of) it, took place.
"Is and/or right"?
caf\xe9 cost $5: 50%; isn't -- a b/c/d"""


def test_words_and_tags():
    pairs = tagged_words("\tThe/at 1/2/cd and/or/cc ``/`` ''/'' ./. isn't/bez* Rep./nn-tl (/( untagged /nn word/ \n")
    assert pairs == [
        ("The", "at"),
        ("1/2", "cd"),
        ("and/or", "cc"),
        ("``", "``"),
        ("''", "''"),
        (".", "."),
        ("isn't", "bez*"),
        ("Rep.", "nn-tl"),
        ("(", "("),
    ]
    assert tagged_words("") == tagged_words(" \t\n") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a b .", "a b."),
        ("`` a b '' , he said .", '"a b", he said.'),
        ("he said : `` a '' `` b ''", 'he said: "a" "b"'),
        ("( a ) [ b ] { c }", "(a) [b] {c}"),
        ("f ( `` a '' )", 'f ("a")'),
        ("a ... b -- c", "a ... b -- c"),
        ("$ 5 , 50 % !", "$5, 50%!"),
        (". .b", ". .b"),
        ("", ""),
    ],
)
def test_words_are_joined_as_printed(words, expected):
    assert joined(words.split()) == expected


@pytest.fixture
def brown(tmp_path):
    """Five samples beside files that are none."""
    for name in ("ca01", "cr09", "cb02", "cj11", "ck29"):
        words = "an/at own/jj word/nn " + name + "/nn ./.\n"
        (tmp_path / name).write_text("\n" + words if name != "ca01" else SAMPLE, encoding="latin-1")
    for name in ("README", "cats.txt", "cz01", "ca1", "ca001"):
        (tmp_path / name).write_text("not/a sample/b")
    return tmp_path


def test_a_brown_sample_as_plain_text(brown):
    assert brown_document(brown / "ca01") == Document("ca01", PLAIN, "a")
    assert brown_document(brown / "cr09") == Document("cr09", "an own word cr09.", "r")


def test_a_brown_folder_holds_its_samples_alone(brown):
    found = sorted(documents(str(brown)), key=lambda document: document.name)
    assert [(own.name, own.label) for own in found] == [
        ("ca01", "a"),
        ("cb02", "b"),
        ("cj11", "j"),
        ("ck29", "k"),
        ("cr09", "r"),
    ]
    assert found[0].text == PLAIN
    orders = [[own.name for own in documents(str(brown), seed=seed)] for seed in (0, 0, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 2


def test_a_folders_order_depends_on_the_seed_alone(tmp_path):
    """Written in another order, under another name, with another kind of file among them; subfolders count."""
    names = ["b", "a", "d", "c", "e/f"]
    for folder, order in (("one", names), ("two", sorted(names))):
        for name in order:
            path = tmp_path / folder / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"text of {name}")
        (tmp_path / folder / "notes.md").write_text("no text")
    for seed in range(4):
        one, two = ([own.text for own in documents(str(tmp_path / name), seed=seed)] for name in ("one", "two"))
        assert one == two
        assert sorted(one) == [f"text of {name}" for name in sorted(names)]
    orders = {tuple(own.name for own in documents(str(tmp_path / "one"), seed=seed)) for seed in range(4)}
    assert len(orders) > 1
    assert {"f", "a"} < set(orders.pop())


def test_blank_lines_part_a_file_which_keeps_its_order(tmp_path):
    (tmp_path / "book.txt").write_text("\n\none\ntwo\n\n  \t\n\nthree\n \nfour caf\xe9\n\n\n", encoding="utf-8")
    for seed in (0, 1):
        found = list(documents(str(tmp_path / "book.txt"), seed=seed))
        assert [own.text.strip() for own in found] == ["one\ntwo", "three", "four caf\xe9"]
        assert len({own.name for own in found}) == 3
        assert all(own.name.startswith("book-") for own in found)


def test_a_hubs_data_set_is_streamed(monkeypatch):
    """Rows are read as they are asked for, in their order."""
    asked, read = [], []

    def load_dataset(name, **settings):
        asked.append((name, settings))
        return ({"text": f"row {i}", "url": read.append(i)} for i in range(10**9))

    monkeypatch.setattr(text_module, "needed", {"datasets": SimpleNamespace(load_dataset=load_dataset)}.__getitem__)
    rows = documents("hub:some/data", seed=3)
    assert [next(rows) for _ in range(2)] == [Document("some/data-0", "row 0"), Document("some/data-1", "row 1")]
    assert asked == [("some/data", {"split": "train", "streaming": True, "trust_remote_code": False})]
    assert read == [0, 1]

    monkeypatch.setattr(text_module, "needed", lambda _: SimpleNamespace(load_dataset=lambda *_, **__: [{"image": 0}]))
    with pytest.raises(ValueError, match=r"hub:pictures must be a data set with a column text; got \['image'\]"):
        next(documents("hub:pictures"))


def test_a_hub_that_fails_is_told_in_one_line(monkeypatch):
    """A network that is away while a name is looked up or rows come; a row without text; a package that lacks."""

    class AwayError(Exception):
        pass

    def load_dataset(name, **_):
        if name == "away":
            raise AwayError("no route to host\nTraceback ...")
        yield {"text": "row 0"}
        if name == "empty row":
            yield {"text": None}
        raise AwayError

    monkeypatch.setattr(text_module, "needed", lambda _: SimpleNamespace(load_dataset=load_dataset))
    message = r"text must be a data set on the Hugging Face hub with a split train; got hub:"
    with pytest.raises(ValueError, match=message + "away: no route to host$"):
        next(documents("hub:away"))
    rows = documents("hub:later")
    assert next(rows).text == "row 0"
    with pytest.raises(ValueError, match=message + "later: AwayError$"):
        next(rows)
    with pytest.raises(ValueError, match="row 1 of hub:empty row must be a text; got None: choose another data set"):
        list(documents("hub:empty row"))


def test_marks_of_utf_8_are_no_text_and_halves_of_characters_are_refused(tmp_path):
    (tmp_path / "book.txt").write_bytes(b"\xef\xbb\xbfw3 caf\xc3\xa9")
    assert [own.text for own in documents(str(tmp_path / "book.txt"))] == ["w3 caf\xe9"]
    broken = [Document("emoji", "w3 \ud83d w4")]
    with pytest.raises(ValueError, match=r"text of document 'emoji' must be of Unicode characters; got 'utf-8' codec"):
        next(packed(language_model(), broken, 8))


def test_what_is_no_text_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"text must be a file, a folder or hub:<data set>; got .*gone: check"):
        documents(str(tmp_path / "gone"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text(" \n\n\t\n")
    for name in ("empty", "blank.txt"):
        with pytest.raises(ValueError, match=rf"text must be a source with documents; got .*{name}: use \.txt files"):
            documents(str(tmp_path / name))
    (tmp_path / "other.txt").write_bytes(b"caf\xe9")
    for source in (tmp_path, tmp_path / "other.txt"):
        with pytest.raises(ValueError, match=r"text must be UTF-8; got .*other\.txt: 'utf-8' codec .*: save it as"):
            documents(str(source))


# --- packing ---------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 25), min_size=1, max_size=8),
    st.integers(2, 9),
    st.booleans(),
    st.integers(1, 5),
)
@example([7], 8, True, 1)  # a document that fills a sequence
@example([6, 3], 8, True, 1)  # BOS is the last token of a sequence
@example([0, 0, 0], 2, True, 2)
@example([3], 8, True, 2)  # nothing but an incomplete sequence
def test_every_token_is_used_once_in_order(lengths, context, mix, batch):
    lm, own = language_model(), texts(*lengths)
    batches = list(packed(lm, own, context, mix=mix, batch=batch))
    assert all(len(part) == batch for part in batches[:-1])
    rebuilt = {i: [] for i in range(len(own))}
    before = -1
    for part in batches:
        assert 1 <= len(part) <= batch
        assert part.ids.shape == part.document.shape == (len(part), context)
        for ids, owners in zip(part.ids.tolist(), part.document.tolist(), strict=True):
            size = context - ids.count(PAD)
            assert ids[0] == BOS
            assert ids[size:] == owners[size:] == [PAD] * (context - size)
            assert not mix or size == context
            assert mix or len(set(owners[:size])) == 1
            assert sorted(owners[:size]) == owners[:size]
            for place, (token, owner) in enumerate(zip(ids[:size], owners[:size], strict=True)):
                assert owner >= before
                if place or owner > before:  # else a BOS put before the rest of a document
                    rebuilt[owner].append(token)
                before = owner
    expected = [[BOS, *map(int, document.text.replace("w", "").split())] for document in own]
    if not mix:
        assert list(rebuilt.values()) == expected
    source, used = (list(chain.from_iterable(tokens)) for tokens in (expected, rebuilt.values()))
    assert used == source[: len(used)]
    assert len(source) - len(used) < context


def test_sequences_by_hand():
    lm, own = language_model(), [Document("a", "w2 w3 w4"), Document("b", "w5"), Document("c", "w6 w7")]

    def rows(**more):
        (only,) = packed(lm, own, 3, **more)
        return list(zip(only.ids.tolist(), only.document.tolist(), strict=True))

    mixed = [([0, 2, 3], [0, 0, 0]), ([0, 4, 0], [0, 0, 1]), ([0, 5, 0], [1, 1, 2]), ([0, 6, 7], [2, 2, 2])]
    assert rows() == mixed
    apart = [([0, 2, 3], [0] * 3), ([0, 4, -1], [0, 0, -1]), ([0, 5, -1], [1, 1, -1]), ([0, 6, 7], [2] * 3)]
    assert rows(mix=False) == apart


def test_bos_within_a_text_may_begin_a_sequence():
    (only,) = packed(language_model(), [Document("a", "w2 <|end|> w3")], 2)
    assert only.ids.tolist() == [[0, 2], [0, 3]]


def test_batches_do_not_change_sequences_and_text_is_read_as_needed():
    lm, read = language_model(), []

    def endless():
        for own in texts(*[10] * 50):
            read.append(own.name)
            yield own

    whole = next(packed(lm, endless(), 6, batch=4))
    assert len(read) == 2  # 11 tokens each; 4 sequences of 6 hold 22, and 2 more BOS
    first, second = (part for part, _ in zip(packed(lm, endless(), 6, batch=2), range(2), strict=False))
    assert [*first.ids.tolist(), *second.ids.tolist()] == whole.ids.tolist()
    with pytest.raises(ValueError, match="context must be at least 2; got 1: 128 is usual"):
        next(packed(lm, endless(), 1))
