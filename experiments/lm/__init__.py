"""SAEs on a language model."""
