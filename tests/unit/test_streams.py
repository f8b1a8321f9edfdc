"""Random streams: functions of (seed, name, step) and of nothing else, in every word of the engine's state."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from synthetic import stream
from synthetic.base.streams import seed_of

HEADER, WORDS = 24, 624  # layout of the state of torch's CPU engine, MT19937


def draws(*key, n=8):
    return torch.rand(n, generator=stream(*key), dtype=torch.float64)


def words_of(generator):
    """The 624 words that the engine holds."""
    state = generator.get_state().numpy()
    return state[HEADER : HEADER + 8 * WORDS].view(np.uint64).copy()


def raw(generator, n):
    """The low 24 bits of the engine's next n numbers: what a 32-bit uniform is made of."""
    return (torch.rand(n, generator=generator, dtype=torch.float32).double() * 2**24).long().numpy()


@pytest.mark.parametrize("key", [(0, "train", 0), (7, "evaluate", 123456), (1, "a|b", 0), (2**63 - 1, "", 2**40)])
def test_the_same_seed_name_and_step_give_the_same_numbers(key):
    assert_close(draws(*key), draws(*key), rtol=0, atol=0)


def test_the_global_generator_is_neither_read_nor_moved():
    first = draws(3, "train", 4)
    before = torch.get_rng_state()
    torch.rand(5)
    assert_close(draws(3, "train", 4), first, rtol=0, atol=0)
    torch.set_rng_state(before)
    draws(3, "train", 4)
    assert_close(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "other",
    [
        (6, "train", 0),
        (5, "evaluate", 0),
        (5, "train", 1),
        (5, "train ", 0),
        (5, "train|0", 0),
        (5 + 2**32, "train", 0),
        (5 + 2**62, "train", 0),
        (5, "train", 2**32),
    ],
)
def test_a_change_of_seed_name_or_step_changes_every_number(other):
    """Seeds and steps that agree in their low 32 (or 62) bits included."""
    assert (draws(5, "train", 0, n=1000) != draws(*other, n=1000)).all()


def test_name_and_numbers_cannot_be_confused():
    """seed 1, name "2" against name "1|2" and the like: the text that is hashed can be read in one way only."""
    keys = [(1, "2", 3), (1, "2|3", 3), (12, "", 3), (1, "", 23), (1, "2|", 3)]
    assert len({tuple(draws(*key).tolist()) for key in keys}) == len(keys)


def test_the_first_numbers_of_many_steps_are_uniform():
    """Kolmogorov-Smirnov across steps, seeds, and inside one stream; false-alarm rate 3e-6 in all."""
    across_steps = np.array([draws(0, "train", step, n=1).item() for step in range(3000)])
    across_seeds = np.array([draws(seed, "train", 0, n=1).item() for seed in range(3000)])
    inside = draws(0, "train", 0, n=30000).numpy()
    for sample in (across_steps, across_seeds, inside):
        assert stats.kstest(sample, "uniform").pvalue > 1e-6


def test_neighbouring_steps_are_uncorrelated():
    """Spearman correlation of steps t and t + 1 over 10,000 draws: 5 standard errors, false-alarm rate 6e-7."""
    first, second = draws(0, "train", 10, n=10000).numpy(), draws(0, "train", 11, n=10000).numpy()
    assert abs(stats.spearmanr(first, second).statistic) < 5 / 100


def test_no_two_of_many_streams_start_alike():
    """Seeds cut to 20 bits would repeat about 12 times in 5,000; four draws of 24 bits tell states apart."""
    starts = {raw(stream(0, "train", step), 4).tobytes() for step in range(5000)}
    assert len(starts) == 5000


def test_all_words_of_the_state_are_set_and_differ_between_streams():
    one, two = words_of(stream(0, "train", 0)), words_of(stream(0, "train", 1))
    assert one.max() < 2**32
    assert (one != two).sum() >= WORDS - 1  # two equal words have a chance of 1e-7 in all
    assert stats.kstest(one / 2**32, "uniform").pvalue > 1e-6


def test_the_engine_is_an_mt19937_in_exactly_that_state():
    """NumPy's engine, given the same 624 words, makes the same numbers."""
    generator = stream(9, "train", 2)
    twin = np.random.MT19937()
    twin.state = {"bit_generator": "MT19937", "state": {"key": words_of(generator).astype(np.uint32), "pos": WORDS}}
    np.testing.assert_array_equal(raw(generator, 3 * WORDS), twin.random_raw(3 * WORDS) & (2**24 - 1))


def test_every_word_matters():
    """Flipping the top bit of any word changes what is drawn."""
    original = stream(9, "train", 2).get_state()
    expected = raw(stream(9, "train", 2), 2 * WORDS)
    generator = torch.Generator()
    for word in range(WORDS):
        state = original.clone()
        state[HEADER + 8 * word + 3] ^= 0x80
        generator.set_state(state)
        assert (raw(generator, 2 * WORDS) != expected).any(), word


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, True, "7", None, np.float64(3)])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match=r"a\.seed must be an integer in \[0, 2\^63\); got .*rounded to the seeds"):
        seed_of("a.seed", seed)
    if isinstance(seed, int):
        with pytest.raises(ValueError, match=r"stream\.seed must be an integer"):
            stream(seed, "train")


def test_a_numpy_integer_is_the_same_seed():
    assert_close(draws(np.int64(5), "train"), draws(5, "train"), rtol=0, atol=0)
