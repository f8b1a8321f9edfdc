"""Threads and memory of this process: on a busy machine two threads are often slower than one."""

import ctypes
import os
import statistics
import time
from collections.abc import Callable
from functools import cache

import torch

Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Wall time of one call, finished on the GPU too."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def device_of(name: str) -> str:
    """The device of a setting: where it is auto, cuda where there is one."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def alternate(works: dict[str, Work], repeats: int) -> dict[str, list[float]]:
    """Seconds of each piece of work, `repeats` times in turn after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: spent[1:] for name, spent in times.items()}


def set_threads(count: int, work: Work | None = None, repeats: int = 5) -> int:
    """Set torch's threads and return their number; 0 takes the fastest of 1, 2, 4, ... up to the cores.

    Sums depend on the number of threads, so a run that must give the same bits again keeps it in its config.

    Args:
        count: number of threads, or 0.
        work: what to time for 0, such as a training step; by default a product of 1024 x 512 by 512 x 2048.
        repeats: calls timed at each number, in turn, after one to warm up; the median counts.
    """
    if count == 0:
        left, right = torch.ones(1024, 512), torch.ones(512, 2048)
        task = work or (lambda: left @ right)
        cores = os.cpu_count() or 1
        counts = sorted({1, cores} | {2**i for i in range(cores.bit_length()) if 2**i <= cores})

        def at(c: int) -> Work:
            return lambda: (torch.set_num_threads(c), task())

        times = alternate({str(c): at(c) for c in counts}, repeats)
        count = min(counts, key=lambda c: statistics.median(times[str(c)]))
    torch.set_num_threads(count)
    return count


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep what a training step frees for the next step instead of giving it back; whether it will.

    Fresh pages cost more than the elementwise operations on them: a stack of 32 small SAEs steps half as fast without.
    The process then holds its peak memory to its end.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if set_option is None:
        return False
    kept = set_option(-1, 2**31 - 1) == 1  # M_TRIM_THRESHOLD, in bytes
    return kept and any(set_option(-3, size) == 1 for size in (2**30, 2**25))  # M_MMAP_THRESHOLD; old ones cap it
