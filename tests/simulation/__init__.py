"""Simulated disks and time, for the journal's tests."""
