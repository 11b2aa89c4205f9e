"""Fold of approval events; matching a grant to a held statement."""
