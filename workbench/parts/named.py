"""A module whose tensors have the names that folders and checkpoints give them, whichever part holds them."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from synthetic.base.errors import must, pick
from workbench.parts.base import Part

_FIRST = ("W_dec", "W_enc", "b_enc", "b_dec")
"""parameters in the order that folders, checkpoints and the optimiser have"""


class Named(nn.Module):
    """Flat names in place of paths; a buffer that several parts share stays one tensor."""

    name: str

    def places(self) -> list[tuple[str, nn.Module, str, bool]]:
        """Name in folders, owner, attribute and whether folders hold it, of every parameter, then of every buffer."""
        own = [("", self)] + [(path, part) for path, part in self.named_modules() if part is not self]
        found: list[tuple[str, nn.Module, str, bool]] = []
        for path, owner in own:
            names = owner.names if isinstance(owner, Part) else {}
            every = {**owner._parameters, **owner._buffers}
            for attribute, value in every.items():
                saved = value is not None and attribute not in owner._non_persistent_buffers_set
                full = f"{path}.{attribute}" if path else attribute
                name = names.get(attribute, attribute) if saved else full
                found.append((name, owner, attribute, saved))
        told = [name for name, _, _, saved in found if saved]
        twice = sorted({name for name in told if told.count(name) > 1})
        must(not twice, self.name, "made of parts whose tensors have different names", twice, "set `names` of one")
        ordered = sorted(found, key=lambda entry: _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST))
        return sorted(ordered, key=lambda entry: entry[2] not in entry[1]._parameters)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters by their names in folders."""
        for name, owner, attribute, _ in self.places():
            value = owner._parameters.get(attribute)
            if value is not None:
                yield f"{prefix}.{name}" if prefix else name, value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers by their names in folders, settings among them."""
        seen: set[int] = set()
        for name, owner, attribute, _ in self.places():
            value = owner._buffers.get(attribute)
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                yield f"{prefix}.{name}" if prefix else name, value

    def tensor(self, name: str) -> Tensor:
        """A parameter or buffer of a part by its name in folders, such as "threshold"."""
        known = dict(self.named_parameters()) | dict(self.named_buffers())
        return known[pick(name, known, f"tensor of {self.name}")]

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and buffers by their names in folders."""
        state = {} if destination is None else destination
        for name, owner, attribute, saved in self.places():
            value = owner._parameters.get(attribute, owner._buffers.get(attribute))
            if saved and value is not None:
                state[prefix + name] = value if keep_vars else value.detach()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Parameters and buffers by their names in folders."""
        paths = {id(module): path for path, module in self.named_modules()}
        full = {name: f"{paths[id(o)]}.{at}" if paths[id(o)] else at for name, o, at, saved in self.places() if saved}
        return super().load_state_dict({full.get(k, k): v for k, v in state_dict.items()}, strict, assign)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move or cast; a setting stays one tensor, whichever parts have it."""
        shared = {id(value): name for name, value in self._buffers.items() if value is not None}
        ties = [
            (part, attribute, shared[id(value)])
            for part in self.modules()
            for attribute, value in part._buffers.items()
            if part is not self and id(value) in shared
        ]
        super()._apply(fn, recurse)
        for part, attribute, name in ties:
            part._buffers[attribute] = self._buffers[name]
        return self
