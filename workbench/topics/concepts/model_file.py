"""A user's own concept model as JSON, and the report on it."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from synthetic.base.console import json_text
from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, checked_fields, list_of, optional, read_json, whole
from synthetic.concepts.activations import Readout
from synthetic.concepts.model import ConceptModel, configurations
from workbench.topics.concepts.regression import NotIdentifiable
from workbench.topics.concepts.report import ConceptReport, concept_report

_ROW = list_of(NUMBER)
_TABLE = list_of(_ROW)
_FIELDS = {
    "sizes": list_of(whole(2)),
    "prior": _ROW,
    "contexts": _TABLE,
    "tokens": _TABLE,
    "activations": optional(_TABLE),
    "unembedding": optional(_TABLE),
}


def _array(content: dict[str, Any], name: str, wide: str, shape: tuple[int | None, ...]) -> Tensor:
    value = content[name]
    rows = {len(row) for row in value} if len(shape) == 2 else set()
    must(len(rows) <= 1, f"model.{name}", f"numbers of shape {wide}", f"rows of lengths {sorted(rows)}", "see docs")
    table = torch.tensor(value, dtype=torch.float64).view(len(value), *rows)
    fits = all(want in (None, got) for want, got in zip(shape, table.shape, strict=True))
    must(fits and table.numel(), f"model.{name}", f"numbers of shape {wide}", tuple(table.shape), "see docs")
    return table


def _distribution(table: Tensor, name: str) -> Tensor:
    total = table.sum(-1, keepdim=True)
    off = float((total - 1).abs().max())
    must(bool((table >= 0).all()), f"model.{name}", "at least 0", float(table.min()), "give probabilities")
    must(off < 1e-6, f"model.{name}", "probabilities with sum 1 in each row", f"a sum off by {off:.3g}", "normalise it")
    return table / total


def load_model(path: Path) -> tuple[ConceptModel, Readout | None]:
    """The model of a JSON file, and activations where the file has them.

    Fields: `sizes` [n_1, ...], values of each concept; then, with configurations in row-major order, the last concept
    fastest: `prior` [p(c)], `contexts` [[p(s|c) for s] for c], `tokens` [[p(y|c) for y] for c]; optional `activations`
    [[x(s)] for s] with `unembedding` [[u_y] for y].

    Raises:
        ValueError: a field is missing, of the wrong shape, or no probability.
    """
    advice = "see docs/concepts.json"
    content = read_json(path, "the model's folder", {}, advice)
    for name in content:
        pick(name, _FIELDS, "field of the model")
    checked_fields(content, "model", _FIELDS, advice)
    sizes = content["sizes"]
    cells = len(configurations(tuple(sizes)))
    prior = _distribution(_array(content, "prior", f"({cells},)", (cells,)), "prior")
    contexts = _distribution(_array(content, "contexts", f"({cells}, contexts)", (cells, None)), "contexts")
    tokens = _distribution(_array(content, "tokens", f"({cells}, tokens)", (cells, None)), "tokens")
    zero = int((prior == 0).sum() + (contexts == 0).sum())
    advice = "mix with 1 % of the uniform law: logarithms of posteriors are taken"
    must(not zero, "model.prior and contexts", "above 0", f"{zero} zeros", advice)
    model = ConceptModel.of(tuple(sizes), prior.log(), contexts.log(), tokens[:, tokens.sum(0) > 0])
    both = [content.get(name) is not None for name in ("activations", "unembedding")]
    must(all(both) or not any(both), "model.activations", "given with unembedding", "one of the two", "add the other")
    if not all(both):
        return model, None
    x = _array(content, "activations", f"({model.n_contexts}, d)", (model.n_contexts, None))
    u = _array(content, "unembedding", f"({tokens.shape[1]}, {x.shape[1]})", (tokens.shape[1], x.shape[1]))
    return model, Readout(x, u[tokens.sum(0) > 0])


def identify(path: Path, console: Console, *, as_json: bool = False) -> int:
    """Print the report on a model file; refused numbers say why.

    Raises:
        NotIdentifiable: no regression is possible.
        ValueError: the file is no model.
    """
    report = concept_report(*load_model(path))
    if report.refused_all:
        first = next(line.refused for line in report.lines if line.refused)
        raise NotIdentifiable(f"{path.name}: nothing can be said of linearity: {first}")
    if as_json:
        print(json_text(report.to_json()))
    else:
        _show(report, path.name, console)
    return 0


def _show(report: ConceptReport, name: str, console: Console) -> None:
    table = Table("number", "value", "", title=f"identifiability of {name}")
    for line in report.lines:
        refused = line.value is None
        table.add_row(
            line.name, "refused" if refused else f"{line.value:.6g}", line.refused if refused else line.meaning
        )
    console.print(table)
    table = Table("condition", "met", "")
    for condition in report.conditions:
        table.add_row(condition.name, "yes" if condition.met else "no", condition.said)
    console.print(table)
