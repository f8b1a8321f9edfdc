"""Heat maps over two settings: cells of equal size, labelled by their settings, numbers inside."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.image import AxesImage


def heat(
    panel: Axes,
    x: Sequence[float | int],
    y: Sequence[float | int],
    values: Float[np.ndarray, "y x"],
    level: float | None = None,
) -> AxesImage:
    """Draw values in [0, 1] with their digits; a heavy outline goes round cells at or above the level."""
    image = panel.imshow(values, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            colour = "black" if value > 0.55 else "white"
            text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1"
            panel.text(j, i, text, ha="center", va="center", fontsize=6.5, color=colour)
    if level is not None:
        _outline(panel, values >= level)
    panel.set_xticks(range(len(x)), [f"{v:.3g}" for v in x])
    panel.set_yticks(range(len(y)), [f"{v:.3g}" for v in y])
    panel.grid(visible=False)
    return image


def _outline(panel: Axes, inside: np.ndarray) -> None:
    """Edges between cells inside and outside."""
    padded = np.pad(inside, 1)
    for i, j in zip(*np.nonzero(padded[1:, 1:] != padded[:-1, 1:]), strict=True):
        panel.plot([j - 0.5, j + 0.5], [i - 0.5, i - 0.5], color="#D55E00", linewidth=1.8)
    for i, j in zip(*np.nonzero(padded[1:, 1:] != padded[1:, :-1]), strict=True):
        panel.plot([j - 0.5, j - 0.5], [i - 0.5, i + 0.5], color="#D55E00", linewidth=1.8)


def place(ticks: Sequence[float | int], value: float | int) -> float:
    """Where a value stands among ascending ticks, on their logarithms; beyond the ends by the last spacing."""
    logs = np.log(np.asarray(ticks, dtype=float))
    at = np.log(value)
    if len(logs) == 1:
        return float(at - logs[0])
    i = int(np.clip(np.searchsorted(logs, at) - 1, 0, len(logs) - 2))
    return float(i + (at - logs[i]) / (logs[i + 1] - logs[i]))
