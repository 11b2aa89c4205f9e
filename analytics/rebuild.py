"""Everything again from the events: a new store beside the old one, which it then replaces.

Analysts keep the old state until the new one is published; files of the old one stay for the time of grace.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from analytics.live import LIVE, StoreDamaged, StoreError, StoreOutdated
from analytics.retention import respect
from analytics.segments import SegmentFolder, sync_folder
from analytics.store import DEFAULTS, AnalyticsStore, StoreSettings
from decision.model.ports import Clock, IdSource

Feed = Callable[[AnalyticsStore], bool]
"""Takes the next batch of the source into the store it is given; whether there was one."""


def rebuild(folder: Path, feed: Feed, clock: Clock, ids: IdSource, settings: StoreSettings = DEFAULTS) -> int:
    """Replace the store in `folder` by one made from everything that `feed` gives. Returns the number of events. What
    retention has expired stays expired.

    Raises StoreBusy while another process writes the store, and what `feed` raises; whenever it fails the old store
    stays as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old: AnalyticsStore | None = None
    with suppress(StoreOutdated, StoreDamaged):
        old = AnalyticsStore(folder, clock, ids, settings)  # holds the writer's lock until the swap
    work = folder / "rebuild"
    shutil.rmtree(work, ignore_errors=True)
    try:
        with AnalyticsStore(work, clock, ids, settings) as fresh:
            while feed(fresh):
                fresh.compact()
            fresh.compact(wait=True)
            count = fresh.counters["events"]
            respect(fresh, folder)
            fresh.retire_files(SegmentFolder(folder / "segments").files())
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    finally:
        if old is not None:
            old.close()
    _swap(folder, work)
    with AnalyticsStore(folder, clock, ids, settings) as store:
        store.publish()
    return count


def _swap(folder: Path, work: Path) -> None:
    """Move the new segments beside the old ones (no name is used twice), then replace the live file: that is the moment
    of change. What a crash leaves before it are orphans, removed when the store is next opened."""
    if (work / (LIVE + ".wal")).exists():
        raise StoreError("the rebuilt store was not closed cleanly", hint="run `airlock rebuild` again")
    for relative in list(SegmentFolder(work / "segments").files()):
        target = folder / "segments" / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        (work / "segments" / relative).rename(target)
        sync_folder(target.parent)
    (folder / (LIVE + ".wal")).unlink(missing_ok=True)
    (work / LIVE).rename(folder / LIVE)
    sync_folder(folder)
    shutil.rmtree(work, ignore_errors=True)
