"""The report of a run on a language model: its table, figures, and text as it was printed."""

import io
from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.console import Console, RenderableType

from experiments.lm.figures import (
    NORMS,
    SAID_OF_NORMS,
    SAID_OF_SCORES,
    SCORES,
    SPLIT,
    against_topk,
    draw_positions,
    draw_sparsity,
    score_rows,
)
from experiments.norms_figure import draw_zf
from synthetic.base.storage import write_text
from workbench.study.run import Run


def tell(
    run: Run,
    scores: dict[str, list[dict[str, Any]]],
    losses: dict[str, dict[str, float]],
    more: Sequence[RenderableType],
    about: str,
    console: Console,
) -> None:
    """Write metrics.parquet, figures and report.txt into a run's folder, and print what the last one holds.

    Args:
        run: where to.
        scores: "hook point/arm" -> what `workbench.lm.scores.scored` found of each member.
        losses: "hook point/arm number" -> what `workbench.lm.scores.losses` found of a member.
        more: what else to print.
        about: settings, for captions.
        console: where to print.
    """
    rows: list[dict[str, Any]] = []
    positions: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for id, members in scores.items():
        hook, arm = id.split("/", 1)
        place = {"hook": hook, "arm": arm, "variant": arm if arm == SPLIT else arm.split()[0]}
        for seed, own in enumerate(members):
            both = own["scores"] | {k: v for k, v in losses[f"{id} {seed}"].items() if k != "tokens"}
            rows += [place | {"seed": seed, "metric": name, "value": float(value)} for name, value in both.items()]
            positions += [place | {"position": at, "value": value} for at, value in own["positions"].items()]
        points += [place | {"group": arm, "z": z, "f": f} for z, f in members[0]["points"]]
    frame = run.write_table(rows + against_topk(pl.DataFrame(rows)))
    paper = Console(record=True, width=100, file=io.StringIO())
    figures, hooks = run.folder / "figures", frame["hook"].unique(maintain_order=True).to_list()
    paths = draw_sparsity(frame, about, figures / "sparsity")
    apart = pl.col("variant") != "batch_topk"  # lies where topk does, and would hide it
    first = pl.DataFrame(positions).filter(pl.col("hook") == hooks[0], pl.col("variant") != SPLIT, apart)
    paths += draw_positions(first, f"{hooks[0]}; {about}", figures / "positions")
    for hook in hooks:
        own, dots = (table.filter(pl.col("hook") == hook, apart) for table in (frame, pl.DataFrame(points)))
        named = own.rename({"arm": "group"})
        paths += draw_zf(named, dots, f"{hook}; {about}", figures / f"zf-{hook}".replace(".", "-"))
    for screen in (console, paper):
        for columns, legend in ((SCORES, SAID_OF_SCORES), (NORMS, SAID_OF_NORMS)):
            for hook in hooks:
                screen.print(score_rows(frame, hook, columns, legend if hook == hooks[-1] else None))
        for part in more:
            screen.print(part)
    write_text(run.folder / "report.txt", f"{about}\n\n{paper.export_text()}")
    for path in paths:
        if path.suffix == ".png":
            console.print(f"figure {path}", soft_wrap=True, highlight=False)
    console.print(f"results {run.folder}", soft_wrap=True, highlight=False)
