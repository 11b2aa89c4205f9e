"""Detectors and type-safe masks; pure."""
