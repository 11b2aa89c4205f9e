"""Credential to Principal."""
