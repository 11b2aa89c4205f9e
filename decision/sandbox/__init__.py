"""Analysis in processes that can be killed: a deadline and a memory limit around parsers that have neither."""

from __future__ import annotations

from decision.sandbox.pool import Sandbox, SandboxSettings

__all__ = ["Sandbox", "SandboxSettings"]
