"""Figures: declared, refused, returned, the same bytes twice; a user's matplotlib is left as it was."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from experiments.curves import Column, curves
from workbench.study.figure import PAPER, Figure, captioned, save
from workbench.study.panels import COLOURS, Axis, Dots, Heat, Leads, Lines, Points, look
from workbench.study.table import tidy

ARMS = ("topk", "relu")
ROWS = [
    {"place": "here", "x": x, "arm": arm, "seed": s, "n_true": 64, "d": 32, "m": 128, "k": 4.0, "step": 500}
    | {"metric": metric, "kind": kind, "value": 0.1 * s + 0.2 * x - 0.1 * i}
    for i, arm in enumerate(ARMS)
    for x in (1.0, 2.0)
    for s in (0, 1, 2)
    for metric, kind in (("mcc", "score"), ("fvu", "score"), ("mcc", "null"))
]
TABLE = tidy(ROWS, "mine")


@pytest.fixture
def svg():
    """A backend that is not what a figure on disk would take; it stands for a notebook's."""
    before = mpl.get_backend()
    mpl.use("svg")
    yield
    mpl.use(before)


def test_figures_leave_backend_settings_and_open_figures(svg, tmp_path):
    plt.close("all")
    settings = dict(mpl.rcParams)
    (figure,) = curves("mine", [Column(Axis("x", log=True))], {"mcc": "MCC"}, "world /tmp/$a_{/b$")
    png, svg_file = save(figure.draw(TABLE), tmp_path / "figures/mine.v2")
    assert png.name == "mine.v2.png"
    assert mpl.get_backend() == "svg"
    assert dict(mpl.rcParams) == settings
    assert not plt.get_fignums()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg_file.read_text("utf-8")


def test_lines_are_medians_told_apart_without_colour():
    (axes,) = Figure("f", [Lines(y="mcc")]).draw(TABLE).axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["topk", "relu", "chance"]
    np.testing.assert_allclose(lines["topk"].get_xydata(), [[1, 0.3], [2, 0.5]])
    np.testing.assert_allclose(lines["chance"].get_xydata(), [[1, 0.25], [2, 0.45]])  # the median of both arms'
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in (lines["topk"], lines["relu"])}
    assert len(looks) == 2
    assert {text.get_text() for text in axes.texts} == {"topk", "relu", "chance"}  # at the ends of lines


def test_few_positions_on_a_logarithmic_axis_are_named_in_full():
    positions = (0.25, 128.0, 2944.0, 149_888.0)
    rows = [{"place": "a", "arm": "topk", "seed": 0, "metric": "mcc", "x": x, "value": 0.5} for x in positions]
    axes = Figure("f", [Lines(y="mcc", across=Axis("samples", log=True))]).draw(tidy(rows, "study")).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.25", "128", "2,944", "149,888"]


def test_where_labels_do_not_fit_there_is_one_legend():
    flat = TABLE.with_columns(value=pl.lit(0.5))
    figure = Figure("f", [Lines(y="mcc"), Lines(y="fvu")]).draw(flat)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["topk", "relu", "chance"]
    (alone,) = Figure("f", [Lines(y="mcc", legend="own")]).draw(flat).axes
    assert [text.get_text() for text in alone.get_legend().get_texts()] == ["topk", "relu", "chance"]


def test_seven_panels_or_six_lines_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match="1 to 6; got 7: split it in two figures, or make a Medians table"):
        Figure("f", [Lines(y="mcc")] * 7)
    many = pl.concat(TABLE.filter(pl.col("arm") == "topk").with_columns(arm=pl.lit(f"arm {i}")) for i in range(7))
    figure = Figure("f", [Lines(y="mcc")])
    with pytest.raises(ValueError, match=r"at most 5 lines a panel; got 7: split it \(`Figure.parts`"):
        figure.draw(many)
    parts = figure.parts(many)
    assert [(part.name, list(part.looks(many))) for part in parts] == [
        ("f", [f"arm {i}" for i in range(5)]),
        ("f-b", ["arm 5", "arm 6"]),
    ]
    assert parts[1].looks(many)["arm 5"] == look(0)
    assert figure.parts(TABLE) == [figure]
    assert parts[1].draw(many).axes


def test_the_caption_states_what_it_must():
    facts = "n_true = 64, d = 32, m = 128, k = 4, 500 steps, 3 seeds of weights: median, 10-90 % band, points."
    assert captioned("", TABLE) == facts
    assert captioned("{lr:g} is the rate", TABLE, {"lr": 0.1}) == f"0.1 is the rate. {facts}"
    whole = "n_true = {n_true} in d = {d}, m = {m}, k = {k}; {steps} steps; {seeds} seeds"
    assert captioned(whole, TABLE) == "n_true = 64 in d = 32, m = 128, k = 4; 500 steps; 3 seeds"


def test_files_are_the_same_twice_and_paper_has_its_caption_beside(tmp_path):
    figure = Figure("f", [Lines(y="mcc"), Dots(y="fvu", at={"x": max}), Leads(of="topk", on="relu", y="mcc")], "Why.")
    written = []
    for name in ("one", "two"):
        drawn = figure.draw(TABLE, style=PAPER)
        drawn._repr_png_()  # looking at it changes nothing
        written.append([path.read_bytes() for path in save(drawn, tmp_path / name, ("svg", "pdf"))])
    assert written[0] == written[1]
    assert (tmp_path / "one.txt").read_text().split() == drawn.caption.split()
    assert drawn.get_size_inches()[0] == pytest.approx(2 * 3.3 + 0.25)
    assert "Why." not in (tmp_path / "one.svg").read_text()


@dataclass(frozen=True)
class Count:
    """A panel of one's own."""

    def draw(self, axes, scene):
        axes.bar(list(scene.looks), [scene.table.filter(pl.col("arm") == arm).height for arm in scene.looks])


def test_a_panel_of_ones_own_is_a_class_with_one_method():
    (axes,) = Figure("f", [Count()], arms=("relu",)).draw(TABLE).axes
    assert [bar.get_height() for bar in axes.patches] == [len(ROWS) / 2]


def test_leads_dots_heat_and_points_draw_what_they_say():
    panels = [
        Leads(of="topk", on="relu", y="mcc"),
        Dots(y="mcc", at={"x": 1.0}),
        Heat(y="mcc", over=("x", "k"), arms=("topk",), level=0.4),
        Points(y="mcc", over="fvu"),
    ]
    leads, dots, heat, points = Figure("f", panels, arms=ARMS).draw(TABLE).axes
    np.testing.assert_allclose(leads.containers[0].lines[0].get_xydata(), [[1, 0.1], [2, 0.1]], atol=1e-12)
    assert [text.get_text() for text in dots.get_yticklabels()] == ["topk", "relu"]
    relu = [line for line in dots.lines if line.get_marker() == "s"]
    assert [to_rgba(line.get_color()) for line in relu] == [to_rgba(COLOURS[1])]
    np.testing.assert_allclose(relu[0].get_xdata(), [0.2])
    assert [text.get_text() for text in heat.texts] == [".30", ".50"]
    np.testing.assert_allclose(points.lines[0].get_xydata()[:, 0], points.lines[0].get_xydata()[:, 1])
