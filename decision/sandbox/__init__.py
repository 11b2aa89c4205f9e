"""Killable processes and deadlines for what a parser can't survive."""
