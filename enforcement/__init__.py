"""Enforcement points: hold each statement until it is decided, fulfil the obligations, report the execution."""

from decision.compiled import install

install()
