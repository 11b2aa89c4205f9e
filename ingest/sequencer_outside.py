"""Whom the log asks beside itself, made from its settings. Their libraries are imported only where they are asked."""

from __future__ import annotations

from decision.journal.log_settings import LogSettings
from decision.model.errors import SettingsError
from ingest.sequencer_publisher import Outside, Stamper, Witnesses


def outside_of(settings: LogSettings) -> Outside:
    """Witnesses and the authority for time stamps. Raises SettingsError."""
    return Outside(_witnesses(settings), _stamper(settings))


def _witnesses(settings: LogSettings) -> Witnesses | None:
    if not settings.witnesses:
        return None
    from decision.journal.witness import Witness, WitnessClient

    urls = dict.fromkeys(one.url for one in settings.witnesses)
    witnesses = [Witness(url, tuple(one.verifier for one in settings.witnesses if one.url == url)) for url in urls]
    return WitnessClient(witnesses, settings.witness_timeout_s)


def _stamper(settings: LogSettings) -> Stamper | None:
    if not settings.timestamp_url or settings.timestamp_roots is None:
        return None
    try:
        from decision.journal.timestamps import Timestamper
    except ModuleNotFoundError:
        raise SettingsError(
            "log.timestamp_url needs the package rfc3161-client", hint="pip install 'airlock[timestamps]'"
        ) from None
    return Timestamper(settings.timestamp_url, settings.timestamp_roots)
