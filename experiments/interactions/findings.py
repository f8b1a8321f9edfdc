"""Tables and verdicts on compounds and their parts, from the table of a run alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from rich.table import Table

from workbench.study.panels import COLOURS
from workbench.study.questions import Interval, interval, verdict

OFTEN, ONLY, RARE, NEITHER = "interacting, frequent", "frequent only", "interacting, rare", "neither"
LINEAR, MORE, EQUAL = "linear", "linear + atoms", "linear, equal size"
FULL, PURE, SELF = "PolySAE", "pure PolySAE", "self terms only"
RANDOM, FIXED, PLAIN = "random U", "random U, C2", ", k fixed"
ARMS = (LINEAR, EQUAL, MORE, FULL, PURE, SELF, RANDOM, FIXED, LINEAR + PLAIN, FULL + PLAIN, PURE + PLAIN)
BY_LOGIC = (LINEAR, MORE, FULL, PURE, SELF)
ROLES = {OFTEN: COLOURS[1], RARE: COLOURS[4], ONLY: COLOURS[0], NEITHER: COLOURS[7]}
R = "r of |B| and co-firing"
ACTIVATIONS, AUROC = "mcc of activations", "crossed auroc"
OWN, PARTS = "own latent: ", "parts: "


@dataclass(frozen=True)
class Claim:
    """A statement about a mean over seeds."""

    statement: str
    values: np.ndarray
    """one number a seed, differences paired by seed where two arms are compared; one number where nothing is drawn"""
    level: float = 0.0
    """the statement: their mean is above this ..."""
    below: bool = False
    """... or below it"""

    @property
    def lead(self) -> Interval:
        """By how much the mean is on the claimed side; of no width for a single number."""
        lead = (self.level - self.values) if self.below else (self.values - self.level)
        return interval(lead) if len(lead) > 1 else Interval(float(lead[0]), 0.0)

    @property
    def verdict(self) -> str:
        """CONFIRMED, REFUTED or UNDECIDED."""
        return verdict([self.lead])

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """A row of a table."""
        said = f"{self.values.mean():+.3g} ± {self.lead.half:.2g}"
        return self.statement, said, f"{'<' if self.below else '>'} {self.level:g}", self.verdict


@dataclass(frozen=True)
class Values:
    """The table of a run and the number of products in its world of pairs."""

    frame: pl.DataFrame
    products: int

    def __call__(
        self,
        arm: str,
        metric: str,
        part: str = "arms",
        world: str = "varying",
        rank2: int | None = None,
        step: int | None = None,
    ) -> np.ndarray:
        """One number a seed, at the last step or the step given; empty where the metric is not defined."""
        own = self.frame.filter(
            pl.col("arm") == arm, pl.col("metric") == metric, pl.col("part") == part, pl.col("world") == world
        )
        if rank2 is not None:
            own = own.filter(pl.col("rank2") == rank2)
        return (
            own.filter(pl.col("step") == (pl.col("step").max() if step is None else step))
            .sort("seed")["value"]
            .to_numpy()
        )

    @property
    def ranks(self) -> list[int]:
        """Columns of the sweep."""
        return sorted(self.frame.filter(pl.col("part") == "codes given")["rank2"].unique().to_list())

    @property
    def steps(self) -> list[int]:
        """Steps at which training was scored."""
        return sorted(self.frame.filter(pl.col("part") == "training")["step"].unique().to_list())


def published(get: Values) -> list[Claim]:
    """The published statement in parts: a linear decoder gives a compound its own atom, PolySAE finds the parts."""
    return [
        Claim("a linear SAE gives compounds latents of their own (share)", get(LINEAR, OWN + OFTEN), 0.5),
        Claim("PolySAE gives fewer (share, linear less PolySAE)", get(LINEAR, OWN + OFTEN) - get(FULL, OWN + OFTEN)),
        Claim("PolySAE finds parts better: MCC of rows, all features", get(FULL, "mcc") - get(LINEAR, "mcc")),
        Claim(
            "... latents for both parts of these pairs (share)", get(FULL, PARTS + OFTEN) - get(LINEAR, PARTS + OFTEN)
        ),
    ]


def on_compounds(get: Values) -> Iterator[Claim]:
    """Against which linear SAE, with and without self terms, with and without k falling."""
    often = get(LINEAR, OWN + OFTEN)
    yield Claim("linear: more own latents for interacting than only frequent pairs", often - get(LINEAR, OWN + ONLY))
    yield Claim("linear: cos with b ≥ .9 finds these latents (share)", get(LINEAR, "compound_atoms"), 0.5)
    for arm in (FULL, PURE, SELF):
        yield Claim(f"{arm}: hardly any own latents for these (share)", get(arm, OWN + OFTEN), 0.1, below=True)
    for arm in (FULL, PURE):
        for other in (LINEAR, EQUAL, MORE):
            yield Claim(f"{arm} over {other}: MCC of rows", get(arm, "mcc") - get(other, "mcc"))
            yield Claim("... MCC of activations", get(arm, ACTIVATIONS) - get(other, ACTIVATIONS))
            yield Claim("... FVU", get(arm, "fvu") - get(other, "fvu"), below=True)
    for metric, name in (("mcc", "MCC of rows"), (ACTIVATIONS, "MCC of activations")):
        yield Claim(f"k fixed, {FULL} over {LINEAR}: {name}", get(FULL + PLAIN, metric) - get(LINEAR + PLAIN, metric))
    inside = get(MORE, "fvu", "inside", "inside") - get(MORE, "fvu")
    yield Claim(f"{MORE}: FVU rises where targets lie in span(V)", inside)


def on_reading(get: Values) -> Iterator[Claim]:
    """What |B| tells, and what the controls say of it."""
    yield Claim("PolySAE over self terms alone: FVU", get(FULL, "fvu") - get(SELF, "fvu"), below=True)
    yield Claim("... MCC of activations", get(FULL, ACTIVATIONS) - get(SELF, ACTIVATIONS))
    yield Claim("self terms alone over linear: FVU", get(SELF, "fvu") - get(LINEAR, "fvu"), below=True)
    for arm in (FULL, PURE):
        yield Claim(f"{arm}: |B| tells interacting from only frequent pairs, AUROC", get(arm, AUROC), 0.5)
        yield Claim("... over a random U, AUROC", get(arm, AUROC) - get(RANDOM, AUROC))
    yield Claim("U and C2 random: |B| tells them too, AUROC", get(FIXED, AUROC), 0.5)
    yield Claim("pure over PolySAE: the reading is sharper, AUROC", get(PURE, AUROC) - get(FULL, AUROC))
    for arm in (FULL, PURE):
        for step, when in ((0, "before training"), (get.steps[-1], "after it")):
            r = get(arm, R, "training", step=step)
            sign = 1.0 if r.mean() > 0 else -1.0
            yield Claim(f"{arm}: |mean r| of |B| and co-firing, {when}", sign * r, 0.05, below=True)


def on_ranks(get: Values) -> Iterator[Claim]:
    """Columns that products need; planted ones are fitted by least squares, without seeds."""
    p = get.products
    for law, arm, enough in (("varying", FULL, 2), ("constant", FULL, 1), ("varying", PURE, 1)):
        name = f"{arm}, {law} h"
        if enough == 2:
            yield Claim(f"{name}: R2 = P planted is not exact, FVU", get(arm, "fvu", "planted", law, p), 1e-5)
        at = enough * p
        size = "2P" if enough == 2 else "P"
        yield Claim(f"{name}: R2 = {size} planted is exact, FVU", get(arm, "fvu", "planted", law, at), 1e-9, below=True)
        trained = get(arm, "fvu", "codes given", law, at)
        yield Claim(f"... R2 = {size} trained on true codes, FVU", trained, 1e-4, below=True)


def on_logic(get: Values) -> Iterator[Claim]:
    """AND and XOR of binary features."""
    for world in ("and", "xor"):

        def at(arm: str, metric: str, world: str = world) -> np.ndarray:
            return get(arm, metric, "logic", world)

        yield Claim(f"{world.upper()}: linear gives compounds own latents (share)", at(LINEAR, OWN + OFTEN), 0.5)
        for arm in (FULL, PURE):
            yield Claim(f"{world.upper()}: {arm} over linear, FVU", at(arm, "fvu") - at(LINEAR, "fvu"), below=True)
            yield Claim("... MCC of activations", at(arm, ACTIVATIONS) - at(LINEAR, ACTIVATIONS))
            yield Claim("... own latents (share)", at(arm, OWN + OFTEN) - at(LINEAR, OWN + OFTEN), below=True)
            yield Claim("... |B| tells interacting pairs, AUROC", at(arm, AUROC), 0.5)


TITLES = {
    "compounds and parts": on_compounds,
    "reading interactions": on_reading,
    "columns a product": on_ranks,
    "AND and XOR": on_logic,
}
SHORT = {OFTEN: "both", RARE: "acts", ONLY: "often", NEITHER: "none"}
SHOWN = {
    "recovery": {"l0": "L0", "fvu": "FVU", "mcc": "MCC rows", ACTIVATIONS: "MCC act.", "compound_atoms": "atoms b"},
    "compounds": {
        f"{what}{role}": f"{what[:5].strip(' l')} {SHORT[role]}"
        for what in (OWN, PARTS)
        for role in (OFTEN, RARE, ONLY)
    },
    "reading": {AUROC: "AUROC", "product_auroc": "all", "product_cosine": "cos B, b", "product_error": "error"},
    "sizes": {f"|B|: {role}": f"|B| {SHORT[role]}" for role in ROLES},
}
CAPTIONS = {
    "recovery": "atoms b: share of products with a row of |cos| ≥ .9 to b",
    "compounds": "shares of pairs; both: interact, come often; acts: interact; often: come often",
    "reading": "AUROC: |B| of interacting pairs above only frequent ones (logic: any)",
    "sizes": "both: interact, come often; acts: interact; often: come often; none: neither",
}


def tables_of(get: Values) -> Iterator[Table]:
    """Medians of all arms, then verdicts; the published statement last."""
    logic = [("logic", world, BY_LOGIC, kind) for world in ("and", "xor") for kind in ("recovery", "reading")]
    arms = [("arms", "varying", ARMS, kind) for kind in SHOWN]
    for part, world, names, kind in (*arms, ("inside", "inside", (MORE, PURE), "recovery"), *logic):
        columns = {
            metric: name for metric, name in SHOWN[kind].items() if any(len(get(n, metric, part, world)) for n in names)
        }
        size = ("m", "k") if kind == "recovery" else ()
        table = Table("arm", *size, *columns.values(), title=f"{part}, {world}: medians", caption=CAPTIONS[kind])
        table.columns[0].no_wrap = True
        for name in names:
            about = get.frame.filter(pl.col("part") == part, pl.col("world") == world, pl.col("arm") == name)
            middle = [get(name, metric, part, world) for metric in columns]
            cells = [f"{np.median(v):.2g}" if len(v) else "" for v in middle]
            if any(cells):
                table.add_row(name, *(str(about[column][0]) for column in size), *cells)
        yield table
    for title, claims in TITLES.items():
        table = Table("statement", "mean ± 95 %", "claimed", "verdict", title=title)
        for claim in claims(get):
            table.add_row(*claim.cells)
        yield table
    said = "a linear decoder gives a compound an atom of its own where PolySAE finds the parts"
    table = Table("statement", "mean ± 95 %", "claimed", "verdict", title="published, equal m and k")
    for claim in (parts := published(get)):
        table.add_row(*claim.cells)
    table.add_section()
    table.add_row(f"[bold]{said}", "", "all", f"[bold]{verdict(part.lead for part in parts)}")
    table.caption = "pairs that interact and come often; differences paired by seed of weights"
    yield table
