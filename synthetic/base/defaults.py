"""Torch as it starts, whatever its user has set: what a world draws has the same bits everywhere."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


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
