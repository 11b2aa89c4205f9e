"""Durable append and tail."""
