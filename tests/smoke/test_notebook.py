"""In a notebook a cell that ends in a figure shows it, whatever backend the notebook has."""

import base64

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELL = """
from workbench.study.figure import Figure
from workbench.study.panels import Lines
from workbench.study.table import tidy

rows = [{"x": x, "arm": "topk", "seed": s, "metric": "mcc", "value": s + x} for x in (1.0, 2.0) for s in (0, 1)]
Figure("mine", [Lines(y="mcc")]).draw(tidy(rows, "mine"))
"""


def test_a_cell_shows_its_figure(monkeypatch):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "execute_result"
    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
