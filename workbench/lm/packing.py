"""Documents packed into sequences of tokens, each beginning with BOS, boundaries kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from synthetic.base.errors import must
from workbench.lm.models import LanguageModel
from workbench.lm.text import Document

PAD = -1
"""token and document of places after a sequence's end"""


@dataclass(frozen=True)
class Sequences:
    """Sequences of `t` tokens."""

    ids: Int[Tensor, "b t"]
    """token ids, PAD after the end"""
    document: Int[Tensor, "b t"]
    """number of the document each token is of, counted from 0 in the order packed"""

    def __len__(self) -> int:
        return len(self.ids)


def packed(
    lm: LanguageModel, texts: Iterable[Document], context: int, *, mix: bool = True, batch: int = 64
) -> Iterator[Sequences]:
    """Token ids of documents in sequences of `context`, in batches.

    BOS begins every document and every sequence; a sequence that begins amid a document belongs to it.

    Args:
        lm: whose tokenizer and BOS to use.
        texts: documents; each token of the source is used once, but for an incomplete last sequence.
        context: tokens a sequence, BOS included.
        mix: let a sequence hold the end of one document and the beginning of the next, which then attends to the end;
            else the rest of a document's last sequence is padded.
        batch: sequences a batch; the last one may be smaller.
    """
    must(context >= 2, "context", "at least 2", context, "128 is usual")
    sequences: list[tuple[list[int], list[int]]] = []
    ids: list[int] = []
    owners: list[int] = []
    for number, document in enumerate(texts):
        tokens, at = [lm.bos, *_tokens(lm, document)], 0
        while at < len(tokens):
            if not ids and tokens[at] != lm.bos:
                ids, owners = [lm.bos], [number]
            took = tokens[at : at + context - len(ids)]
            ids, owners, at = ids + took, owners + [number] * len(took), at + len(took)
            if len(ids) == context or (not mix and at == len(tokens)):
                rest = [PAD] * (context - len(ids))
                sequences.append((ids + rest, owners + rest))
                ids, owners = [], []
            if len(sequences) == batch:
                yield _stacked(sequences)
                sequences = []
    if sequences:
        yield _stacked(sequences)


def _tokens(lm: LanguageModel, document: Document) -> list[int]:
    try:
        document.text.encode()
    except UnicodeEncodeError as error:
        advice = "drop the document, or replace what is no character"
        must(False, f"text of document {document.name!r}", "of Unicode characters", error, advice)
    return lm.tokenizer(document.text, add_special_tokens=False, verbose=False)["input_ids"]


def _stacked(sequences: list[tuple[list[int], list[int]]]) -> Sequences:
    ids, owners = (torch.tensor([pair[i] for pair in sequences], device="cpu") for i in (0, 1))
    return Sequences(ids, owners)
