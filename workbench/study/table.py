"""The table a run ends with."""

import polars as pl
from rich.table import Table


def score_table(frame: pl.DataFrame, metrics: tuple[str, ...], rates: dict[str, str], title: str) -> Table:
    """Scores by variant: median over seeds, their 10-90 % range, chance level and ceiling.

    Args:
        frame: rows of variant, metric, value, kind ("score", "null" or "ceiling"), one step only.
        metrics: columns.
        rates: variant -> text of the last column, samples a second.
        title: above the table.
    """
    table = Table(title=title, caption="median over seeds, their 10 % and 90 % quantiles, chance, ceiling")
    table.add_column("variant", no_wrap=True)
    for name in metrics:
        table.add_column(name, justify="right")
    table.add_column("samples/s", justify="right")
    for variant, rate in rates.items():

        def cell(name: str, kind: str, share: float = 0.5, variant: str = variant) -> str:
            match = (pl.col("variant") == variant) & (pl.col("metric") == name) & (pl.col("kind") == kind)
            value = frame.filter(match)["value"].quantile(share, "linear")
            return "" if value is None else f"{value:.3f}"

        table.add_row(f"[bold]{variant}", *(cell(name, "score") for name in metrics), rate)
        table.add_row("  10 %", *(cell(name, "score", 0.1) for name in metrics), "", style="dim")
        table.add_row("  90 %", *(cell(name, "score", 0.9) for name in metrics), "", style="dim")
        table.add_row("  chance", *(cell(name, "null") for name in metrics), "", style="dim")
        table.add_row("  ceiling", *(cell(name, "ceiling") for name in metrics), "", style="dim", end_section=True)
    return table
