"""Judge many claims side by side, one a process."""

import os

from proofs_check.ledger import Entry, judge
from proofs_check.shelf import area_of, claims
from synthetic.base.errors import must, pick
from synthetic.base.progress import track
from workbench.study.runner import process_pool


def chosen(areas: tuple[str, ...], ids: tuple[str, ...]) -> list[str]:
    """Ids of the claims in some areas and with some ids, in the ledger's order; empty asks for all.

    Raises:
        ValueError: no such area or id, or no claim is in both.
    """
    shelf = claims()
    known = {area_of(claim) for claim in shelf.values()}
    wanted = {pick(area, sorted(known), "--area") for area in areas} or known
    named = {pick(id, list(shelf), "--id") for id in ids} or set(shelf)
    found = [id for id, claim in shelf.items() if id in named and area_of(claim) in wanted]
    must(found, "--id", f"in the areas {sorted(wanted)}", sorted(named), "drop --area")
    return found


def judge_all(ids: list[str], jobs: int = 0, *, examples: int, seconds: float, seed: int) -> list[Entry]:
    """Judge claims of the shelf, with a progress bar where standard error is a terminal; `jobs` 0 for one a core."""
    jobs = min(jobs or os.cpu_count() or 1, len(ids))
    if jobs == 1:
        return [_judge(id, examples, seconds, seed) for id in track(ids, "judging claims")]
    with process_pool(jobs, threads=1) as pool:
        waiting = [pool.submit(_judge, id, examples, seconds, seed) for id in ids]
        return [future.result() for future in track(waiting, "judging claims")]


def _judge(id: str, examples: int, seconds: float, seed: int) -> Entry:
    return judge(claims()[id], examples=examples, seconds=seconds, seed=seed)
