"""All streams of this town: those that grow, and those that lie on the volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polecat_town import metrics
from polecat_town.streams.feed import Feed
from polecat_town.streams.journal import SEGMENT_BYTES, Journal
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.segments import About, Segment, StreamID, list_segments, read_about, read_last_seq, stored

READERS_MAX = 4000
_PAUSE_LEAST_SECONDS = 0.02
_PAUSE_MOST_SECONDS = 0.1
_PAUSE_PER_READER_SECONDS = 0.00007


@dataclass(frozen=True, slots=True)
class Listed:
    """One stream that can be read."""

    stream: StreamID
    first_seq: int
    """Number of the first event that is kept."""
    last_seq: int
    about: About


class Streams:
    """Journals are opened by lives, one at a time for each attempt; readers find their feeds here."""

    def __init__(
        self, root: Path, *, segment_bytes: int = SEGMENT_BYTES, on_rotated: Callable[[], None] = lambda: None
    ) -> None:
        """`on_rotated` is called when a journal goes on in another file, as older ones may have to go."""
        self._root = root
        self._segment_bytes = segment_bytes
        self._journals: dict[StreamID, Journal] = {}
        self._readers = 0
        self._on_rotated = on_rotated

    def open(self, stream: StreamID, names: dict[str, str], redactor: Callable[[], Redactor]) -> Journal:
        """The journal of an attempt that begins, or goes on."""
        journal = Journal(
            self.folder(stream),
            stream.attempt,
            names,
            redactor,
            segment_bytes=self._segment_bytes,
            pause_seconds=self._pause_seconds,
            on_rotated=self._on_rotated,
        )
        self._journals[stream] = journal
        return journal

    def folder(self, stream: StreamID) -> Path:
        """Where its files lie. The name comes from a Polecat, or from `parse_id`."""
        return self._root / stream.bead_uid

    def feed(self, stream: StreamID) -> Feed | None:
        """The latest events in memory; None while no journal is open."""
        journal = self._journals.get(stream)
        return None if journal is None or journal.feed.closed else journal.feed

    def in_use(self) -> dict[StreamID, Path]:
        """Streams that grow, and the file that each is written to."""
        self._journals = {stream: each for stream, each in self._journals.items() if not each.feed.closed}
        return {stream: journal.path for stream, journal in self._journals.items()}

    def about(self, stream: StreamID) -> About:
        """What is known of an attempt as a whole. It looks at a file: run it in a thread."""
        return read_about(self.folder(stream), stream.attempt)

    def exists(self, stream: StreamID) -> bool:
        """Whether anything of it is kept."""
        return stream in self._journals or bool(list_segments(self.folder(stream), stream.attempt))

    def last_seq(self, stream: StreamID) -> int:
        """Number of the last event that there is; 0 for none. It looks at a file: run it in a thread."""
        if (feed := self.feed(stream)) is not None:
            return feed.last_seq
        segments = list_segments(self.folder(stream), stream.attempt)
        return self._last_seq(segments, self.about(stream)) if segments else 0

    @staticmethod
    def _last_seq(segments: Sequence[Segment], about: About) -> int:
        return about.last_seq if about.ended and about.last_seq else read_last_seq(segments[-1])

    def list(self) -> list[Listed]:
        """All that can be read. It looks at every file: run it in a thread."""
        listed = []
        for stream, segments in stored(self._root):
            about = self.about(stream)
            listed.append(Listed(stream, segments[0].first_seq, self._last_seq(segments, about), about))
        return listed

    @contextmanager
    def reading(self) -> Iterator[bool]:
        """Counts a reader for as long as the block lasts; False if there are too many."""
        self._readers += 1
        metrics.STREAM_READERS.set(self._readers)
        try:
            yield self._readers <= READERS_MAX
        finally:
            self._readers -= 1
            metrics.STREAM_READERS.set(self._readers)

    def _pause_seconds(self) -> float:
        """With many readers each gets more at once, and less often."""
        return min(_PAUSE_MOST_SECONDS, max(_PAUSE_LEAST_SECONDS, self._readers * _PAUSE_PER_READER_SECONDS))
