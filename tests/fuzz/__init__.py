"""Texts that nobody would write, put to the analysis: `python -m tests.fuzz --minutes 10`."""
