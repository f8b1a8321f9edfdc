"""Named worlds."""

from synthetic.worlds import bias, factors, interactions, presets, structured

__all__ = ["bias", "factors", "interactions", "presets", "structured"]
