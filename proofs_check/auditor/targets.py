"""What the command line points at: an SAE, a run of them, a stranger's claim file."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from proofs_check.auditor.audit import audit
from proofs_check.auditor.report import merged, print_audit
from proofs_check.auditor.sentences import sentences
from proofs_check.ledger import exit_code, judge
from proofs_check.report.terminal import print_ledger
from proofs_check.shelf import claims_of_file
from synthetic.base.console import Console, json_text
from synthetic.base.errors import must
from synthetic.base.progress import track
from synthetic.base.terminal import visible
from synthetic.folder import load_world
from workbench.interop import load
from workbench.interop.forms import holds_sae
from workbench.interop.hub import PREFIX
from workbench.lm.activations import Activations
from workbench.public import find_source
from workbench.sae import SAE
from workbench.study.run import world_of_run


def judge_file(path: Path, console: Console, *, as_json: bool = False, **budget: Any) -> int:
    """Judge the claims of a file and print them at length, then what is no claim in it.

    Returns:
        2 where some part of the file makes no claim; else 3 if all that is wrong is a want of seconds; else 1 if one
        is refuted, undecided or not as promised; else 0.
    """
    found, wrong = claims_of_file(path)
    entries = []
    for claim in track(found, "judging claims"):
        try:
            entries.append(judge(claim, **budget))
        except (Exception, SystemExit) as error:  # a stranger's code, where nothing else expects it
            said = " ".join(str(error).split())
            wrong.append(f"claim {claim.id} must be one that can be judged; got {type(error).__name__}: {said}.")
    if as_json:
        print(json_text([entry.to_json() for entry in entries]))
    else:
        print_ledger(console, entries, at_length=True)
    for said in wrong:
        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), visible(said)), soft_wrap=True)
    if wrong:
        return 2
    return exit_code(entries)


def audit_target(target: Path, world: str | None, n: int, seed: int, console: Console, *, as_json: bool = False) -> int:
    """Audit one SAE folder, or each of a run's base world; 1 if a bound of the ledger is violated."""
    told, good = [], True
    for folder in sae_folders(target):
        place, members = world_of(folder, world), members_of(folder)
        place = _as_trained(members[0], place)
        found = merged([audit(sae, place, n, seed) for sae in members])
        good &= all(row.status != "VIOLATED" for row in found.rows)
        said = [dict(zip(("claim", "status", "sentence"), one, strict=True)) for one in sentences(found)]
        told.append(
            {"sae": str(folder), "members": len(members), "n": n, "seed": seed, "sentences": said, **asdict(found)}
        )
        if not as_json:
            count = f", {len(members)} members" if len(members) > 1 else ""
            console.rule(Text.assemble((visible(str(folder)), "bold"), count), align="left")
            print_audit(console, found)
    if as_json:
        print(json_text(told))
    return 0 if good else 1


def sae_folders(target: Path) -> list[Path]:
    """The folder itself where it holds an SAE of any form, else those of a run's base world."""
    if str(target).startswith(PREFIX) or holds_sae(target):
        return [target]
    found = sorted((target / "saes").glob("base-*"))
    must(found, "audit.target", "an SAE folder or the run folder of an experiment", target, "check the path")
    return found


def world_of(folder: Path, named: str | None) -> Any:
    """The world or activation store that was named, else the world of the run the folder stands in."""
    if named is not None:
        return find_source(named)
    place = world_of_run(folder)
    if place is None:
        must(False, "--world", "given for an SAE outside a run folder", "none", "name a world, or a saved one's folder")
        raise AssertionError
    return load_world(place)


def _as_trained(sae: SAE, source: Any) -> Any:
    """Rows of a store as the SAE took them: standardised where its folder says so."""
    standardise = sae.metadata.get("normalize_activations") == "layer_norm"
    return replace(source, standardise=True) if standardise and isinstance(source, Activations) else source


def members_of(folder: Path) -> list[SAE]:
    """The single SAEs of a folder, several where it holds a stack."""
    members = sorted(folder.glob("member-*")) if (folder / "stack.json").exists() else [folder]
    return [load(member) for member in members]
