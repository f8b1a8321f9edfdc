"""Speed: a stack against the same SAEs one after another, and worlds in samples a second.

Equality is asserted before any time is taken. Times are medians of paired repeats in one process.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from synthetic import presets, stream
from workbench import TrainConfig, create, train


@dataclass(frozen=True)
class Benchmark:
    """Settings."""

    stack: int = 32
    """members of the stack"""
    steps: int = 100
    """training steps timed"""
    repeats: int = 3
    """paired repeats"""
    threads: int = 1
    """threads of torch; the same for both sides"""
    sampling: bool = True
    """also time the 16k world (building it takes half a minute)"""
    json: bool = False
    """print a JSON list of rows"""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stacking(settings: Benchmark) -> dict[str, Any]:
    """A stack of small TopK SAEs (d 32, m 64, k 4, batch 512) against its members trained in turn."""
    world = presets.superposition()
    seeds = list(range(settings.stack))

    def run(seed: int | list[int], steps: int) -> torch.Tensor:
        sae = create("topk", 32, 64, k=4, seed=seed)
        train(sae, world, TrainConfig(steps=steps, batch=512))
        return sae.W_dec.detach()

    together = run(seeds, 20)
    for seed in seeds[:4]:
        torch.testing.assert_close(together[seed], run(seed, 20), atol=1e-4, rtol=1e-4)
    ratios, stacked = [], []
    for _ in range(settings.repeats):
        stacked.append(seconds(lambda: run(seeds, settings.steps)))
        alone = seconds(lambda: [run(seed, settings.steps) for seed in seeds])
        ratios.append(alone / stacked[-1])
    rate = settings.stack * settings.steps * 512 / statistics.median(stacked)
    return {
        "what": f"TopK stack of {settings.stack}, d 32, m 64, k 4, batch 512",
        "ms": 1e3 * statistics.median(stacked) / settings.steps,
        "ratio": statistics.median(ratios),
        "against": "the same SAEs one after another",
        "samples_per_s": rate,
        "spread": [min(ratios), max(ratios)],
    }


def where_time_goes(settings: Benchmark) -> list[tuple[str, float]]:
    """Share of a stack's training time in each operation, largest first."""
    sae = create("topk", 32, 64, k=4, seed=list(range(settings.stack)))
    world = presets.superposition()
    with torch.autograd.profiler.profile() as profile:
        train(sae, world, TrainConfig(steps=30, batch=512))
    averages: Any = profile.key_averages()  # type: ignore[reportOptionalMemberAccess]
    events = sorted(averages, key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    return [(e.key, e.self_cpu_time_total / total) for e in events[:8]]


def sampling(settings: Benchmark) -> list[dict[str, Any]]:
    """The 16k world with and without correlated firing."""
    found = []
    torch.set_num_threads(2)
    for correlation in (False, True):
        world = presets.synthsaebench_16k(correlation=correlation)
        world.sample(1024, stream(0, "warm"))
        times = [
            seconds(lambda r=r, w=world: [w.sample(1024, stream(0, "time", 20 * r + i)) for i in range(20)])
            for r in range(settings.repeats + 2)
        ]
        middle = statistics.median(times)
        name = f"synthsaebench_16k, correlation {'on' if correlation else 'off'}, 2 threads"
        found.append({"what": name, "ms": 1e3 * middle / 20, "samples_per_s": 20 * 1024 / middle})
    return found


def main() -> int:
    """Run and print."""
    settings = tyro.cli(Benchmark, description=__doc__)
    torch.set_num_threads(settings.threads)
    rows = [stacking(settings)]
    shares = where_time_goes(settings)
    if settings.sampling:
        rows += sampling(settings)
    if settings.json:
        print(json.dumps([*rows, {"what": "shares of the stack's time", **dict(shares)}], indent=1))
        return 0
    console = Console()
    table = Table("what", "ms a batch", "samples/s", "times faster", title="benchmark")
    for row in rows:
        ratio = f"{row['ratio']:.2f} [{row['spread'][0]:.2f}, {row['spread'][1]:.2f}]" if "ratio" in row else ""
        table.add_row(row["what"], f"{row['ms']:.1f}", f"{row['samples_per_s']:,.0f}", ratio)
    console.print(table)
    console.print("stack's time: " + ", ".join(f"{name} {share:.0%}" for name, share in shares))
    return 0


if __name__ == "__main__":
    sys.exit(main())
