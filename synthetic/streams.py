"""Random streams: the generator of a batch is a function of (seed, stream name, step), and of nothing else."""

import hashlib

import numpy as np
import torch

_WORDS = 624  # state size of MT19937, torch's CPU engine
_HEADER = 24  # bytes before the state words in a CPU generator's state: seed, left, seeded, next


def stream(seed: int, name: str, step: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Generator for one step of one named stream.

    Two streams share no numbers unless seed, name and step all agree, so training, evaluation and
    initialisation never see each other's draws, and step t can be replayed without replaying 0..t-1.

    On the CPU all 624 words of the engine are set from a 128-bit hash: `torch.Generator.manual_seed` keeps only
    32 bits of a seed there, and 200,000 steps of a run would meet about five repeats of a batch.

    Args:
        seed: the user's seed, any integer.
        name: stream name, such as "train" or "evaluate".
        step: position in the stream, at least 0.
        device: where the draws will happen.

    Source: ours; hash and mixing from BLAKE2b and numpy.random.SeedSequence.
    """
    digest = hashlib.blake2b(f"{int(seed)}|{name}|{int(step)}".encode(), digest_size=16).digest()
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
