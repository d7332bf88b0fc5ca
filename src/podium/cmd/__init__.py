"""Composition roots, one for each binary: the only code that reads argv and the environment."""
