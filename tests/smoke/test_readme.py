"""Every Python block of the README runs by itself, as a reader pastes it."""

import re
from pathlib import Path

import pytest

import workbench
from synthetic.worlds.superposition import toy
from workbench.sae import VARIANTS

TEXT = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
SMALLER = {
    r"steps=\d+": "steps=2",
    r"n=100_000": "n=500",
    r"evaluate\(sae, world\)": "evaluate(sae, world, n=500)",
    r"tokens=20_000": "tokens=2_000",
}
"""what is cut so that all blocks take seconds; nothing else is changed"""


@pytest.fixture(autouse=True)
def _shelf_as_before():
    """What a block registers goes with it."""
    before = dict(VARIANTS)
    yield
    VARIANTS.clear()
    VARIANTS.update(before)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs_as_pasted(number, tmp_path, monkeypatch):
    text = BLOCKS[number]
    if "workbench.lm" in text:
        pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")
    monkeypatch.chdir(tmp_path)
    for pattern, less in SMALLER.items():
        text = re.sub(pattern, less, text)
    exec(compile(text, f"README.md, block {number}", "exec"), {"__name__": f"readme_{number}"})


def test_every_cut_is_of_something_there():
    assert len(BLOCKS) >= 7
    assert not [pattern for pattern in SMALLER if not re.search(pattern, TEXT)]


def test_the_variant_of_the_readme_trains():
    (block,) = [block for block in BLOCKS if "@workbench.register" in block]
    exec(compile(block, "README.md", "exec"), {"__name__": "readme_variant"})
    sae, world = workbench.create("log_penalty", 16, 16), toy()
    before = sae.W_enc.detach().clone()
    workbench.train(sae, world, workbench.TrainConfig(steps=2, batch=8))
    assert not before.equal(sae.W_enc)
