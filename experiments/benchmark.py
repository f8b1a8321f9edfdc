"""Speed: a training step against one product x @ W_enc, its floor; stacks; worlds; matching; pursuit; other libraries.

Equality with plain dense autograd is asserted before any time is taken. Times are medians of repeats that alternate
between all that is compared, in one process. They are printed; a run folder holds the figure of growth alone.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys

from experiments import launch

if __name__ == "__main__":
    sys.exit(launch("benchmark"))

# isort: split
import itertools
import statistics
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from rich.table import Table

from experiments.rivals import rival_step, saelens_sampler
from experiments.settings import Benchmark
from experiments.timing import Shape, Step, assert_equal, peak_bytes
from synthetic import stream
from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded
from synthetic.base.flags import read_flags
from synthetic.base.progress import track
from synthetic.laws.copula import LowRankCopula
from synthetic.laws.directions import unit
from synthetic.laws.firing import Independent
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from synthetic.worlds.synthsaebench import synthsaebench_16k
from workbench.metrics.matching import match
from workbench.parts.pursuit import clear_picks, matching_pursuit
from workbench.study.figure import Figure, save
from workbench.study.flags import check_common, config_of
from workbench.study.panels import Axis, Lines
from workbench.study.run import Run
from workbench.study.table import tidy
from workbench.training.machine import Work, alternate, device_of, keep_freed_memory, seconds, set_threads

Row = dict[str, Any]
GROWTH: dict[str, tuple[int, ...]] = {
    "m": (512, 1024, 2048, 4096, 8192),
    "k": (4, 8, 16, 32, 64),
    "d": (64, 128, 256, 512),
    "n_true": (256, 1024, 4096, 16384),
    "stack": (1, 2, 4, 8),
}
"""what is varied, one at a time, around `BASE`"""
BASE = Shape(d=256, m=2048, k=16, batch=1024)
BATCHES = (256, 1024, 4096)
"""batches of a pursuit at the other sizes of `BASE`"""


def measure(shape: Shape, variant: str, settings: Benchmark, against: tuple[str, ...] = ()) -> list[Row]:
    """Rows of one shape and variant, the floor and rivals measured in turn with it."""
    assert_equal(shape, variant)
    if settings.device != "cpu":
        assert_equal(shape, variant, settings.device)
    x = shape.inputs(settings.device)
    step = Step(shape.sae(variant, settings.device), x)
    rivals = {name: rival_step(name, shape.d, shape.m, shape.k, shape.batch, settings.device) for name in against}
    threads = set_threads(settings.threads, step)
    W_enc = step.sae.W_enc.detach().clone(memory_format=torch.contiguous_format)
    works: dict[str, Work] = {"floor": lambda: x @ W_enc, "ours": step}
    works |= {name: lambda made=made: made(x) for name, made in rivals.items()}
    step.spent.clear()
    times = alternate(works, settings.repeats)
    world = shape.world()
    draws = [partial(world.sample, shape.batch, stream(0, "benchmark", i, settings.device)) for i in range(6)]
    data = statistics.median([seconds(draw) for draw in draws][1:])
    base: Row = {**asdict(shape), "variant": variant, "threads": threads, "device": settings.device}
    rows = []
    for name in ("ours", *rivals):
        middle = statistics.median(times[name])
        members = shape.stack if name == "ours" else 1
        row = {**base, "library": name, "ms": 1e3 * middle, "samples_per_s": members * shape.batch / middle}
        if name == "ours" or shape.stack == 1:
            ratios = [a / b for a, b in zip(times[name], times["floor"], strict=True)]
            row |= {"ratio_to_floor": statistics.median(ratios), "ratio_range": [min(ratios), max(ratios)]}
        if name == "ours":
            whole = sum(step.spent.values())
            row |= {"shares": {part: spent / whole for part, spent in step.spent.items()}}
            row |= {"data_share": data / (data + middle), "peak_bytes": peak_bytes(step)}
        rows.append(row)
    return rows


def _sampler(world: SparseMixture, device: str) -> Work:
    """Draws a fresh batch of 1,024 at each call."""
    batches = itertools.count()
    return lambda: world.sample(1024, stream(0, "time", next(batches), device))


def worlds(settings: Benchmark) -> list[Row]:
    """The 16k world with and without correlated firing, and SAELens's dense sampler of the same configuration."""
    threads, rows = set_threads(settings.threads), []
    for correlation in (False, True):
        world = synthsaebench_16k(correlation=correlation)
        draws: dict[str, Work] = {"ours": _sampler(world, settings.device)}
        if correlation and "saelens" in settings.against:
            draws["saelens"] = partial(saelens_sampler(16384, 768, rank=25, scale=0.1), 1024)
        for name, spent in alternate(draws, settings.repeats).items():
            middle = statistics.median(spent)
            what = f"sample synthsaebench_16k, correlation {'on' if correlation else 'off'}"
            row = {"what": what, "library": name, "threads": threads, "ms": 1e3 * middle}
            rows.append(row | {"samples_per_s": 1024 / middle})
    return rows


def matching(settings: Benchmark) -> list[Row]:
    """One-to-one assignment at the benchmark's size: random rows, and noisy features as a trained SAE has them."""
    threads, rng = set_threads(settings.threads), stream(0, "matching")
    features, rows = torch.randn(16384, 768, generator=rng), torch.randn(4096, 768, generator=rng)
    trained = features[torch.randint(16384, (4096,), generator=rng)] + 0.5 * rows
    found = []
    for name, decoder in (("random rows", rows), ("noisy features", trained)):
        spent = seconds(partial(match, decoder, features))
        what = f"assign 4096 latents to 16384 features, {name}"
        found.append({"what": what, "library": "ours", "threads": threads, "ms": 1e3 * spent})
    return found


def plain_pursuit(x: torch.Tensor, rows: torch.Tensor, steps: int) -> torch.Tensor:
    """Codes of matching pursuit as it is commonly written: one product r W^T a step, dense codes."""
    f, r = x.new_zeros(len(x), len(rows)), x
    for _ in range(steps):
        j = (r @ rows.T).abs().argmax(-1)
        w = rows[j]
        a = (r * w).sum(-1, keepdim=True)
        f.scatter_add_(1, j[:, None], a)
        r = r - a * w
    return f


def pursuit(settings: Benchmark) -> list[Row]:
    """Matching pursuit of random rows: plain torch, ours by residuals, ours by Gram rows, and that with G made anew."""
    shape, found, rng = BASE, [], stream(0, "pursuit", 0, settings.device)
    rows = unit(torch.randn(shape.m, shape.d, generator=rng, device=settings.device))
    gram = rows @ rows.T
    for batch in BATCHES:
        x = torch.randn(batch, shape.d, generator=rng, device=settings.device)
        run = partial(matching_pursuit, x, rows, shape.k)
        works: dict[str, Work] = {
            "plain torch": partial(plain_pursuit, x, rows, shape.k),
            "ours, residuals": torch.no_grad()(run),
            "ours, Gram rows": partial(run, gram=gram),
            "ours, Gram rows, G made": lambda run=run: run(gram=rows @ rows.T),
        }
        quick = run(gram=gram).codes(shape.m).dense()
        clear = clear_picks(x, rows, shape.k)
        torch.testing.assert_close(quick[clear], plain_pursuit(x, rows, shape.k)[clear], atol=1e-5, rtol=0)
        threads = set_threads(settings.threads, works["ours, Gram rows"])
        times = alternate(works, settings.repeats)
        for name, spent in times.items():
            middle = statistics.median(spent)
            what = f"pursuit d {shape.d}, m {shape.m}, {shape.k} steps, batch {batch}"
            row = {"what": what, "library": name, "threads": threads, "ms": 1e3 * middle}
            ratios = [a / b for a, b in zip(times["ours, residuals"], spent, strict=True)]
            row |= {"speed_up": statistics.median(ratios), "speed_up_range": [min(ratios), max(ratios)]}
            found.append(row | {"batch": batch, "samples_per_s": batch / middle})
    return found


def growth(settings: Benchmark) -> list[Row]:
    """Time of a TopK step, its floor and its data while one size grows."""
    found = []
    for vary, value in track([(name, v) for name, values in GROWTH.items() for v in values], "growth"):
        if vary == "n_true":
            for law, name in ((Independent, "independent"), (LowRankCopula, "correlated, rank 25")):
                world = SparseMixture(n_true=value, d=256, firing=law(Constant(16 / value)))
                spent = statistics.median(alternate({"": _sampler(world, settings.device)}, settings.repeats)[""])
                found.append({"vary": vary, "value": value, "curve": f"a batch of data, {name}", "ms": 1e3 * spent})
            continue
        row = measure(replace(BASE, **{vary: value}), "topk", settings)[0]
        found.append({"vary": vary, "value": value, "curve": "TopK step", "ms": row["ms"]})
        floor = row["ms"] / row["ratio_to_floor"]
        found.append({"vary": vary, "value": value, "curve": "x @ W_enc, the floor", "ms": floor})
    return found


def growth_figure(settings: Benchmark) -> Figure:
    """One panel a size that grows."""
    labels = {"m": "latents m", "k": "active latents k", "d": "dimension d", "n_true": "features n_true"}
    labels["stack"] = "SAEs of a stack"
    panels = [
        Lines(
            y="ms",
            place=vary,
            across=Axis(labels[vary], log=True, ticks=values),
            up=Axis(" " if i else "ms a batch", log=True),
            legend="shared",
        )
        for i, (vary, values) in enumerate(GROWTH.items())
    ]
    caption = f"Around d 256, m 2048, k 16, batch 1024, one SAE of one seed, {settings.device}; "
    caption += f"medians of {settings.repeats}."
    return Figure("growth", panels, caption, columns=len(panels), size=(2.6, 3.2), share="y")


def show(rows: list[Row], console: Console) -> None:
    """Tables of steps and of the other parts."""
    steps = [row for row in rows if "variant" in row]
    columns = ("d/m/k/batch", "variant", "library", "ms", "samples/s", "over the floor", "gradients", "data", "MB")
    threads = {str(row["threads"]) for row in rows if "threads" in row}
    table = Table(*columns, caption=f"threads: {', '.join(sorted(threads))}; gradients, data: shares of the time")
    for row in steps:
        size = f"{row['d']}/{row['m']}/{row['k']}/{row['batch']}" + (f" x{row['stack']}" if row["stack"] > 1 else "")
        low, high = row.get("ratio_range", (0, 0))
        ratio = f"{row['ratio_to_floor']:.2f} [{low:.2f}, {high:.2f}]" if "ratio_to_floor" in row else ""
        share = f"{row['shares']['gradients']:.0%}" if "shares" in row else ""
        memory = f"{row['peak_bytes'] / 1e6:,.0f}" if row.get("peak_bytes") is not None else ""
        speed = f"{row['samples_per_s']:,.0f}"
        data = f"{row['data_share']:.0%}" if "data_share" in row else ""
        table.add_row(size, row["variant"], row["library"], f"{row['ms']:.2f}", speed, ratio, share, data, memory)
    if steps:
        console.print(table)
    other = Table("what", "library", "threads", "ms", "samples/s", "over residuals")
    for row in rows:
        if "what" in row:
            speed = f"{row['samples_per_s']:,.0f}" if "samples_per_s" in row else ""
            low, high = row.get("speed_up_range", (0, 0))
            ratio = f"{row['speed_up']:.2f} [{low:.2f}, {high:.2f}]" if "speed_up" in row else ""
            other.add_row(row["what"], row["library"], str(row["threads"]), f"{row['ms']:,.1f}", speed, ratio)
    if other.rows:
        console.print(other)


def experiment(settings: Benchmark, console: Console) -> int:
    """Measure and print; the exit code."""
    check_common(settings)
    settings.check()
    settings = replace(settings, device=device_of(settings.device))
    keep_freed_memory()  # as `train` does
    rows: list[Row] = []
    if "steps" in settings.parts:
        todo = [(Shape.read(shape), variant) for shape in settings.shapes for variant in settings.variants]
        for shape, variant in track(todo, "steps"):
            rows += measure(shape, variant, settings, settings.against if variant == "topk" else ())
    for part, work in (("worlds", worlds), ("matching", matching), ("pursuit", pursuit)):
        rows += work(settings) if part in settings.parts else []
    if "growth" in settings.parts:
        grown = growth(settings)
        run = Run.start(settings.out, "benchmark", config_of(settings))
        times = [
            {"place": row["vary"], "x": row["value"], "arm": row["curve"], "metric": "ms", "value": row["ms"]}
            for row in grown
        ]
        table = run.write_table(tidy(times, "benchmark"))
        paths = save(growth_figure(settings).draw(table), run.folder / "figures" / "growth")
        rows += grown
        if not settings.json:
            console.print(f"figure {paths[0]}", soft_wrap=True)
    if settings.json:
        print(json_text(rows))
    else:
        show(rows, console)
    return 0


def main() -> int:
    """Parse and run; bad input ends with one line and exit code 2."""
    return guarded(lambda: experiment(read_flags(Benchmark, description=__doc__), Console(highlight=False)))
