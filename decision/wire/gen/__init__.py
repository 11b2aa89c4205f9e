"""Generated from proto/airlock/v1 by `python -m decision.wire.generate`. Do not edit."""
