"""What makes results repeatable: random streams, and torch's defaults while a world draws.

The generator of a batch is a function of (seed, stream name, step), and of nothing else. What a world draws has the
same bits whatever defaults its user has set.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from synthetic.base.errors import must

_WORDS = 624  # state size of MT19937, torch's CPU engine
_HEADER = 24  # bytes before the state words in a CPU generator's state: seed, left, seeded, next


def seed_of(where: str, value: Any) -> int:
    """A seed as Python's integer; Python's and numpy's are taken.

    Raises:
        ValueError: no integer in [0, 2^63).
    """
    good = isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value < 2**63
    must(
        good, where, "an integer in [0, 2^63)", repr(value), "other numbers would be rounded to the seeds of other runs"
    )
    return int(value)


def stream(seed: int | np.integer, name: str, step: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Generator for one step of one named stream.

    Two streams share no numbers unless seed, name and step all agree, so training, evaluation and
    initialisation never see each other's draws, and step t can be replayed without replaying 0..t-1.

    On the CPU all 624 words of the engine are set from a 128-bit hash: `torch.Generator.manual_seed` keeps only
    32 bits of a seed there, and 200,000 steps of a run would meet about five repeats of a batch.

    Args:
        seed: the user's seed, an integer in [0, 2^63).
        name: stream name, such as "train" or "evaluate".
        step: position in the stream, at least 0.
        device: where the draws will happen.

    Raises:
        ValueError: seed is no such integer.

    Source: ours; hash and mixing from BLAKE2b and numpy.random.SeedSequence.
    """
    digest = hashlib.blake2b(f"{seed_of('stream.seed', seed)}|{name}|{int(step)}".encode(), digest_size=16).digest()
    mixed = np.random.SeedSequence(int.from_bytes(digest, "little"))
    device = torch.device(device)
    if device.type != "cpu":
        return torch.Generator(device).manual_seed(int(mixed.generate_state(1, np.uint64)[0]) >> 1)
    generator = torch.Generator()
    state = generator.manual_seed(0).get_state().numpy()
    words = mixed.generate_state(_WORDS, np.uint32).astype(np.uint64)
    state[_HEADER : _HEADER + 8 * _WORDS] = words.view(np.uint8)
    generator.set_state(torch.from_numpy(state))
    return generator


class _Float32:
    """Default dtype float32. It is one for all threads: the first one inside sets it, the last one puts it back."""

    def __init__(self) -> None:
        self.lock, self.inside, self.before = threading.Lock(), 0, torch.float32

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                torch.set_default_dtype(self.before)


_float32 = _Float32()


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Float32, the CPU, gradients and no inference mode, as a context or a decorator; a caller's own come back after.

    Where a generator or an argument names a device, that one counts.
    """
    with ExitStack() as entered:
        if torch.is_inference_mode_enabled():
            entered.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            entered.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            entered.enter_context(torch.device("cpu"))
        if _float32.inside or torch.get_default_dtype() != torch.float32:
            entered.enter_context(_float32)
        yield
