"""Text: documents from files and folders, from a tagged Brown corpus, or streamed from a data set on the hub."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthetic.base.errors import must
from synthetic.base.schema import shown
from synthetic.base.streams import stream
from workbench.lm.models import in_a_line, needed

_TAGGED = re.compile(r"(\S+)/[^\s/]+")
_OPENING, _CLOSING = "([{$", ")]},.;:?!%"
_BROWN = re.compile(r"c[a-r]\d\d")


@dataclass(frozen=True)
class Document:
    """One text."""

    name: str
    text: str
    label: str = ""
    """what is known of it, such as its genre"""


def documents(source: str, *, seed: int = 0) -> Iterator[Document]:
    """Documents of a source, in an order that depends on it and the seed alone.

    Args:
        source: a text file (blank lines part its documents), a folder of .txt files, a folder of the tagged Brown
            corpus (`ca01` ... `cr09`), or `hub:<data set>` such as `hub:Skylion007/openwebtext`, streamed by its split
            "train" in the order it comes.
        seed: of the order of a folder's documents; a hub's are not shuffled.

    Raises:
        ValueError: no such file or folder, or nothing in it.
    """
    if source.startswith("hub:"):
        return _streamed(source.removeprefix("hub:"))
    path = Path(source)
    must(path.is_file() or path.is_dir(), "text", "a file, a folder or hub:<data set>", source, "check the path")
    if path.is_file():
        texts = re.split(r"\n\s*\n", _read(path))
        found = [Document(f"{path.stem}-{i}", text) for i, text in enumerate(texts) if text.strip()]
    elif brown := sorted(p for p in path.iterdir() if _BROWN.fullmatch(p.name)):
        found = [brown_document(p) for p in brown]
    else:
        found = [Document(p.stem, _read(p)) for p in sorted(path.rglob("*.txt"))]
    must(found, "text", "a source with documents", source, "use .txt files or Brown's ca01 ... cr09")
    if path.is_dir():  # genres come in blocks
        order = torch.randperm(len(found), generator=stream(seed, "documents"), device="cpu")
        found = [found[i] for i in order.tolist()]
    return iter(found)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"text must be UTF-8; got {path}: {error}: save it as UTF-8.") from None


def _streamed(name: str) -> Iterator[Document]:
    for number, row in enumerate(_rows(name)):
        must("text" in row, f"hub:{name}", "a data set with a column text", sorted(row), "choose another")
        here = isinstance(row["text"], str)
        must(here, f"row {number} of hub:{name}", "a text", shown(row["text"]), "choose another data set")
        yield Document(f"{name}-{number}", row["text"])


def _rows(name: str) -> Iterator[dict[str, Any]]:
    """Rows of a data set as they come; code that lies beside them is not run."""
    load = needed("datasets").load_dataset
    try:
        yield from load(name, split="train", streaming=True, trust_remote_code=False)
    except ImportError:  # of a package of theirs, which it names
        raise
    except Exception as error:  # a network that is away, a name that no data set has, damaged files
        known = "a data set on the Hugging Face hub with a split train"
        raise ValueError(f"text must be {known}; got hub:{name}: {in_a_line(error)}") from error


def brown_document(path: Path) -> Document:
    """One sample of the Brown corpus as plain text; its label is the genre, the second letter of its name.

    Words stand as `word/tag`; the tag is what follows the last slash. Quotes `` and '' become ".
    """
    paragraphs = []
    for line in path.read_text(encoding="latin-1").splitlines():
        words = [word for word, _ in tagged_words(line)]
        if words:
            paragraphs.append(joined(words))
    return Document(path.name, "\n".join(paragraphs), path.name[1])


def tagged_words(line: str) -> list[tuple[str, str]]:
    """Words and part-of-speech tags of a line of the Brown corpus."""
    pairs = [item.rpartition("/") for item in line.split() if _TAGGED.fullmatch(item)]
    return [(word, tag) for word, _, tag in pairs]


def joined(words: list[str]) -> str:
    """Words as a sentence is printed: no space before closing punctuation or after opening."""
    text, quoted = "", False
    glue = True  # to what comes next
    for word in words:
        if word in ("``", "''"):
            quoted = word == "``"
            text += ('"' if glue else ' "') if quoted else '"'
            glue = quoted
            continue
        text += word if glue or (word[0] in _CLOSING and len(word) == 1) else f" {word}"
        glue = word in _OPENING
    return text
