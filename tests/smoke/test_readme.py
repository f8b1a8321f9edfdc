"""Every Python block of README and of the pages runs by itself, as a reader pastes it."""

import re
from pathlib import Path

import pytest

import workbench
from synthetic.base import storage
from synthetic.worlds import worlds
from synthetic.worlds.superposition import toy
from workbench.metrics import METRICS
from workbench.parts.objectives import OBJECTIVES
from workbench.sae import VARIANTS
from workbench.variants import variant_shelf

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S))
]
SMALLER = {
    r"steps=\d+": "steps=2",
    r"n=100_000": "n=500",
    r"evaluate\(sae, world\)": "evaluate(sae, world, n=500)",
    r"tokens=20_000": "tokens=2_000",
}
"""what is cut so that all blocks take seconds; nothing else is changed"""


@pytest.fixture(autouse=True)
def _shelves_as_before(monkeypatch):
    """What a block registers goes with it."""
    monkeypatch.setattr(storage, "_KNOBS", dict(storage._KNOBS))
    monkeypatch.setattr(worlds(), "_things", dict(worlds()))
    variants, objectives, metrics = variant_shelf(), dict(OBJECTIVES), list(METRICS)
    yield
    VARIANTS.clear()
    VARIANTS.update(variants)
    OBJECTIVES.clear()
    OBJECTIVES.update(objectives)
    METRICS[:] = metrics


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs_as_pasted(block, tmp_path, monkeypatch):
    if "workbench.lm" in block:
        pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")
    monkeypatch.chdir(tmp_path)
    for pattern, less in SMALLER.items():
        block = re.sub(pattern, less, block)
    exec(compile(block, "a block of a page", "exec"), {"__name__": "pasted"})


def test_every_cut_is_of_something_there():
    blocks = "".join(parameter.values[0] for parameter in BLOCKS)
    assert not [pattern for pattern in SMALLER if not re.search(pattern, blocks)]


def test_readme_is_short():
    assert len(PAGES[0].read_bytes()) <= 8192


def test_links_lead_somewhere():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8"))]
    assert len(links) > 20
    assert not [(page.name, link) for page, link in links if not (page.parent / link).exists()]
    linked = {(page.parent / link).resolve() for page, link in links if page == PAGES[0]}
    assert linked >= set(PAGES[1:])  # README leads to every page


def test_the_variant_of_the_readme_trains():
    (block,) = [parameter.values[0] for parameter in BLOCKS if "@workbench.variant" in parameter.values[0]]
    exec(compile(block, "README.md", "exec"), {"__name__": "readme_variant"})
    sae, world = workbench.create("log_relu", 16, 16), toy()
    before = sae.W_enc.detach().clone()
    workbench.train(sae, world, workbench.TrainConfig(steps=2, batch=8))
    assert not before.equal(sae.W_enc)
