"""Tables and questions on compounds and their parts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from workbench.study.panels import COLOURS
from workbench.study.questions import Numbers, Quantity, Question, score
from workbench.study.table import Medians

OFTEN, ONLY, RARE, NEITHER = "interacting_frequent", "frequent_only", "interacting_rare", "neither"
LINEAR, MORE, EQUAL = "linear", "linear + atoms", "linear, equal size"
FULL, PURE, SELF = "PolySAE", "pure PolySAE", "self terms only"
RANDOM, FIXED, PLAIN = "random U", "random U, C2", ", k fixed"
ARMS = (LINEAR, EQUAL, MORE, FULL, PURE, SELF, RANDOM, FIXED, LINEAR + PLAIN, FULL + PLAIN, PURE + PLAIN)
BY_LOGIC = (LINEAR, MORE, FULL, PURE, SELF)
ROLES = {OFTEN: COLOURS[1], RARE: COLOURS[4], ONLY: COLOURS[0], NEITHER: COLOURS[7]}
R = "cofiring_r"
ACTIVATIONS, AUROC = "mcc_activations", "crossed_auroc"
OWN, PARTS, SIZE = "own_latent_", "parts_", "size_"
"""metrics by role start so"""


def at(arm: str, metric: str, place: str = "arms", world: str = "varying", **where: Any) -> Quantity:
    """A metric at the last step, or the step that `where` says."""
    return score(arm, metric, place=place, world=world, **where)


def published() -> list[tuple[str, Quantity, float]]:
    """The published statement in parts: a linear decoder gives a compound its own atom, PolySAE finds the parts."""
    own = at(LINEAR, OWN + OFTEN)
    parts = at(FULL, PARTS + OFTEN) - at(LINEAR, PARTS + OFTEN)
    return [
        ("a linear SAE gives compounds latents of their own (share)", own, 0.5),
        ("PolySAE gives fewer (share, linear less PolySAE)", own - at(FULL, OWN + OFTEN), 0.0),
        ("PolySAE finds parts better: MCC of rows, all features", at(FULL, "mcc") - at(LINEAR, "mcc"), 0.0),
        ("... latents for both parts of these pairs (share)", parts, 0.0),
    ]


def on_compounds(settings: Any) -> Iterator[Question]:
    """Against which linear SAE, with and without self terms, with and without k falling."""
    often, only = at(LINEAR, OWN + OFTEN), at(LINEAR, OWN + ONLY)
    yield Question("linear: more own latents for interacting than only frequent pairs", often - only)
    yield Question("linear: cos with b ≥ .9 finds these latents (share)", at(LINEAR, "compound_atoms"), 0.5)
    for arm in (FULL, PURE, SELF):
        yield Question(f"{arm}: hardly any own latents for these (share)", at(arm, OWN + OFTEN), below=0.1)
    for arm in (FULL, PURE):
        for other in (LINEAR, EQUAL, MORE):
            yield Question(f"{arm} over {other}: MCC of rows", at(arm, "mcc") - at(other, "mcc"))
            yield Question("... MCC of activations", at(arm, ACTIVATIONS) - at(other, ACTIVATIONS))
            yield Question("... FVU", at(arm, "fvu") - at(other, "fvu"), below=0)
    for metric, name in (("mcc", "MCC of rows"), (ACTIVATIONS, "MCC of activations")):
        more = at(FULL + PLAIN, metric) - at(LINEAR + PLAIN, metric)
        yield Question(f"k fixed, {FULL} over {LINEAR}: {name}", more)
    inside = at(MORE, "fvu", "inside", "inside") - at(MORE, "fvu")
    yield Question(f"{MORE}: FVU rises where targets lie in span(V)", inside)


def towards_mean(quantity: Quantity) -> Quantity:
    """A quantity with the sign that makes its mean positive."""

    def read(table: pl.DataFrame) -> Numbers:
        numbers = quantity.read(table)
        sign = 1.0 if np.mean(list(numbers.values())) > 0 else -1.0
        return {key: sign * value for key, value in numbers.items()}

    return Quantity(quantity.label, read)


def on_reading(settings: Any) -> Iterator[Question]:
    """What |B| tells, and what the controls say of it."""
    yield Question("PolySAE over self terms alone: FVU", at(FULL, "fvu") - at(SELF, "fvu"), below=0)
    yield Question("... MCC of activations", at(FULL, ACTIVATIONS) - at(SELF, ACTIVATIONS))
    yield Question("self terms alone over linear: FVU", at(SELF, "fvu") - at(LINEAR, "fvu"), below=0)
    for arm in (FULL, PURE):
        yield Question(f"{arm}: |B| tells interacting from only frequent pairs, AUROC", at(arm, AUROC), 0.5)
        yield Question("... over a random U, AUROC", at(arm, AUROC) - at(RANDOM, AUROC))
    yield Question("U and C2 random: |B| tells them too, AUROC", at(FIXED, AUROC), 0.5)
    yield Question("pure over PolySAE: the reading is sharper, AUROC", at(PURE, AUROC) - at(FULL, AUROC))
    for arm in (FULL, PURE):
        for step, when in ((0, "before training"), (max, "after it")):
            r = towards_mean(at(arm, R, "training", step=step))
            yield Question(f"{arm}: |mean r| of |B| and co-firing, {when}", r, below=0.05)


def on_ranks(settings: Any) -> Iterator[Question]:
    """Columns that products need; planted ones are fitted by least squares, without seeds."""
    p = 2 * settings.pairs
    for law, arm, enough in (("varying", FULL, 2), ("constant", FULL, 1), ("varying", PURE, 1)):
        name, x = f"{arm}, {law} h", enough * p
        if enough == 2:
            short = at(arm, "fvu", "planted", law, x=p)
            yield Question(f"{name}: R2 = P planted is not exact, FVU", short, 1e-5)
        size = "2P" if enough == 2 else "P"
        exact, trained = (at(arm, "fvu", place, law, x=x) for place in ("planted", "codes given"))
        yield Question(f"{name}: R2 = {size} planted is exact, FVU", exact, below=1e-9)
        yield Question(f"... R2 = {size} trained on true codes, FVU", trained, below=1e-4)


def on_logic(settings: Any) -> Iterator[Question]:
    """AND and XOR of binary features."""
    for world in ("and", "xor"):
        name, where = world.upper(), {"place": "logic", "world": world}
        own = at(LINEAR, OWN + OFTEN, **where)
        yield Question(f"{name}: linear gives compounds own latents (share)", own, 0.5)
        for arm in (FULL, PURE):
            fvu, activations, latents = (
                at(arm, metric, **where) - at(LINEAR, metric, **where) for metric in ("fvu", ACTIVATIONS, OWN + OFTEN)
            )
            yield Question(f"{name}: {arm} over linear, FVU", fvu, below=0)
            yield Question("... MCC of activations", activations)
            yield Question("... own latents (share)", latents, below=0)
            yield Question("... |B| tells interacting pairs, AUROC", at(arm, AUROC, **where), 0.5)


def on_publication(settings: Any) -> Iterator[Question]:
    """The published statement, at equal m and k: its parts, then all of it."""
    parts = published()
    yield from (Question(text, quantity, level) for text, quantity, level in parts)
    said = "published: a linear decoder gives a compound an atom of its own where PolySAE finds the parts: all of these"
    yield Question(said, [(quantity - level).named(f"part {i}") for i, (_, quantity, level) in enumerate(parts, 1)])


def questions(settings: Any) -> list[Question]:
    """Compounds and parts; reading |B|; columns a product; AND and XOR; the published statement."""
    asked = (on_compounds, on_reading, on_ranks, on_logic, on_publication)
    return [question for part in asked for question in part(settings)]


SHORT = {OFTEN: "both", RARE: "acts", ONLY: "often", NEITHER: "none"}
SHOWN = {
    "recovery": {"l0": "L0", "fvu": "FVU", "mcc": "MCC rows", ACTIVATIONS: "MCC act.", "compound_atoms": "atoms b"},
    "compounds": {
        f"{what}{role}": f"{what.split('_')[0]} {SHORT[role]}" for what in (OWN, PARTS) for role in (OFTEN, RARE, ONLY)
    },
    "reading": {AUROC: "AUROC", "product_auroc": "all", "product_cosine": "cos B, b", "product_error": "error"},
    "sizes": {f"{SIZE}{role}": f"|B| {SHORT[role]}" for role in ROLES},
}
CAPTIONS = {
    "recovery": "atoms b: share of products with a row of |cos| ≥ .9 to b",
    "compounds": "shares of pairs; both: interact, come often; acts: interact; often: come often",
    "reading": "AUROC: |B| of interacting pairs above only frequent ones (logic: any)",
    "sizes": "both: interact, come often; acts: interact; often: come often; none: neither",
}


def tables() -> Iterator[Medians]:
    """Medians of all arms: all columns of the world of pairs, some of the others."""
    logic = [("logic", world, BY_LOGIC, kind) for world in ("and", "xor") for kind in ("recovery", "reading")]
    arms = [("arms", "varying", ARMS, kind) for kind in SHOWN]
    for place, world, names, kind in (*arms, ("inside", "inside", (MORE, PURE), "recovery"), *logic):
        by = ("arm", "m", "k") if kind == "recovery" else ("arm",)
        title = f"{place}, {world}: medians"
        yield Medians(title, SHOWN[kind], by, place, names, {"world": world}, formats="{:.2g}", caption=CAPTIONS[kind])
