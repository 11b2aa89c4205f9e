"""Clients of the enforcement point: programs in other languages, and what the tests share."""
