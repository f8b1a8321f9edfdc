"""Whether scores on worlds order variants as scores on a language model do."""
