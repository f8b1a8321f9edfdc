"""Figures leave a user's matplotlib as it was."""

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib import pyplot as plt

from experiments.curves import Axis, draw_curves


@pytest.fixture
def svg():
    """A backend that is not what a figure on disk would take; it stands for a notebook's."""
    before = mpl.get_backend()
    mpl.use("svg")
    yield
    mpl.use(before)


def test_reports_leave_backend_settings_and_open_figures(svg, tmp_path) -> None:
    plt.close("all")
    settings = dict(mpl.rcParams)
    about = {"axis": "samples", "variant": "topk", "metric": "mcc", "generator": "base", "step": 1}
    rows = [about | {"x": x, "seed": s, "kind": "score", "value": 0.1 * s} for x in (1.0, 2.0) for s in (0, 1)]
    axis = Axis("samples", "samples seen", log=True)
    png, svg_file = draw_curves(
        pl.DataFrame(rows), [axis], {"mcc": "MCC"}, "world /tmp/$a_{/b$", tmp_path / "figures/mine"
    )
    assert mpl.get_backend() == "svg"
    assert dict(mpl.rcParams) == settings
    assert not plt.get_fignums()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg_file.read_text("utf-8")
