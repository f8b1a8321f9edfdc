"""Judge many claims side by side, one a process."""

import os

from proofs_check.ledger import Entry, judge
from proofs_check.measured import measure, recalled
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


def on_trained_stacks(ids: list[str]) -> list[str]:
    """Those whose members are trained."""
    return [id for id in ids if claims()[id].kind == "trained"]


def judge_all(
    ids: list[str], jobs: int = 0, *, examples: int, seconds: float, seed: int, trained: bool = False
) -> list[Entry]:
    """Judge claims of the shelf, with a progress bar where standard error is a terminal; `jobs` 0 for one a core.

    Claims on trained stacks are read off the record; with `trained` what it lacks is measured.
    """
    jobs = min(jobs or os.cpu_count() or 1, len(ids))
    if jobs == 1:
        return [_judge(id, examples, seconds, seed, trained) for id in track(ids, "judging claims")]
    with process_pool(jobs, threads=1) as pool:
        waiting = [pool.submit(_judge, id, examples, seconds, seed, trained) for id in ids]
        return [future.result() for future in track(waiting, "judging claims")]


def _judge(id: str, examples: int, seconds: float, seed: int, trained: bool) -> Entry:
    claim = claims()[id]
    if claim.kind == "trained":
        return measure(claim, examples=examples, seed=seed) if trained else recalled(claim)
    return judge(claim, examples=examples, seconds=seconds, seed=seed)
