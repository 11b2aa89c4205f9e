"""Everything that Kafka's topics hold, for `analytics.rebuild`."""

from __future__ import annotations

from collections.abc import Callable

from analytics.store import AnalyticsStore
from decision.model.errors import KafkaUnavailable
from ingest.kafka_settings import KafkaSettings
from ingest.sink_batch import take_chunks
from ingest.sink_source import Places, TopicsSource

_POLL_S = 0.5
_PATIENCE = 60
"""So many polls without a record, while some must be there, and the brokers are taken for gone."""


class KafkaFeed:
    """The topics from their beginning to where they end when it begins. Raises KafkaUnavailable, TopicRefused,
    SinkRefused."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        accept_loss: bool = False,
        said: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """`said` is told (records read, records there are) after each batch."""
        self._settings = settings
        self._accept_loss = accept_loss
        self._said = said
        self._source: TopicsSource | None = None
        self._ends: dict[tuple[str, int], int] = {}
        self._identities: dict[str, str] = {}
        self._read = 0

    def __call__(self, store: AnalyticsStore) -> bool:
        source = self._source or self._begin(store)
        for _ in range(_PATIENCE):
            if all(source.position(*place) >= end for place, end in self._ends.items()):
                store.flush()
                self.close()
                return False
            chunks = source.poll(_POLL_S)
            if chunks:
                take_chunks(store, chunks, self._settings.topics.events, self._identities, source.starts)
                self._identities = {}
                self._read += sum(len(chunk.values) for chunk in chunks)
                self._said(self._read, sum(self._ends.values()))
                return True
        raise KafkaUnavailable("Kafka gives no more records", hint="airlock kafka check looks closer; then try again")

    def _begin(self, store: AnalyticsStore) -> TopicsSource:
        self._source = source = TopicsSource(
            self._settings, Places(store.position, store.identity), accept_loss=self._accept_loss
        )
        self._identities = source.open()
        self._ends = source.ends()
        store.take((), {}, identities=self._identities)
        return source

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
