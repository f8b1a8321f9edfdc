"""A planted attention layer."""

from synthetic.attention.layer import PlantedAttention

__all__ = ["PlantedAttention"]
