"""Files of journals that are finished are packed: readers find the same events, in the same places."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from polecat_town.streams import packed, reading
from polecat_town.streams.events import Kind
from polecat_town.streams.hub import Streams
from polecat_town.streams.journal import Journal
from polecat_town.streams.reading import Batch, End, Gap, News, Place, follow, read_on
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.retention import PACK_AFTER_SECONDS, pack_finished
from polecat_town.streams.segments import StreamID, list_segments

STREAM = StreamID("00000000-0000-4000-8000-000000000001", 1)
EVENTS = 60


def written(root: Path, *, ended: bool, segment_bytes: int = 2000) -> Path:
    """A journal of several files; gives its directory."""
    folder = root / STREAM.bead_uid
    journal = Journal(folder, STREAM.attempt, {"rig": "web"}, Redactor, echo=io.StringIO(), segment_bytes=segment_bytes)
    while journal.feed.last_seq < EVENTS:
        journal.append(Kind.STATUS, message=f"event {journal.feed.last_seq + 1} {'x' * 60}")
    journal.close(ended=ended)
    return folder


def later(folder: Path) -> float:
    """When all files are old enough."""
    return max(path.stat().st_mtime for path in folder.iterdir()) + PACK_AFTER_SECONDS + 1


def read_all(folder: Path, seq: int = 1) -> tuple[list[int], list[News]]:
    """Numbers of all events from one on, and what else was told."""
    place, numbers, others = Place(seq), [], []
    while True:
        news, place = read_on(folder, 1, place)
        if not news:
            return numbers, others
        for each in news:
            if isinstance(each, Batch):
                numbers += [entry.seq for entry in each.entries]
            else:
                others.append(each)


@pytest.mark.parametrize("part_bytes", [300, 65_536])
def test_the_same_events_from_any_number_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    monkeypatch.setattr(packed, "PART_BYTES", part_bytes)
    folder = written(tmp_path, ended=True)
    plain = b"".join(segment.path.read_bytes() for segment in list_segments(folder))
    assert pack_finished(tmp_path, (), later(folder)) == len(list_segments(folder)) > 3
    assert all(segment.packed for segment in list_segments(folder))
    assert b"".join(gzip.decompress(segment.path.read_bytes()) for segment in list_segments(folder)) == plain
    for seq in (1, 2, 17, EVENTS):
        assert read_all(folder, seq) == (list(range(seq, EVENTS + 1)), [])


def test_what_is_written_to_or_new_stays_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path, ended=False)
    assert pack_finished(tmp_path, (), later(folder) - PACK_AFTER_SECONDS - 1) == 0
    pack_finished(tmp_path, (), later(folder))
    segments = list_segments(folder)
    assert [segment.packed for segment in segments] == [True] * (len(segments) - 1) + [False]
    assert read_all(folder) == (list(range(1, EVENTS + 1)), [])


def test_a_reader_goes_on_where_a_file_is_packed_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 400)
    folder = written(tmp_path, ended=True, segment_bytes=100_000)
    news, place = read_on(folder, 1, Place(1))
    first = [entry.seq for each in news if isinstance(each, Batch) for entry in each.entries]
    pack_finished(tmp_path, (), later(folder))
    numbers, others = read_all(folder, place.seq)
    again, _ = read_on(folder, 1, place)
    assert first + numbers == list(range(1, EVENTS + 1)) and not others
    assert isinstance(again[0], Batch) and again[0].entries[0].seq == place.seq


def test_a_kill_while_it_is_packed_leaves_no_double(tmp_path: Path) -> None:
    folder = written(tmp_path, ended=True)
    names = {segment.path: segment.path.read_bytes() for segment in list_segments(folder)}
    pack_finished(tmp_path, (), later(folder))
    for path, content in names.items():
        path.write_bytes(content)
    assert read_all(folder)[0] == list(range(1, EVENTS + 1))
    pack_finished(tmp_path, (), later(folder))
    assert not list(folder.glob("*.jsonl"))


def test_a_damaged_file_costs_its_own_events_only(tmp_path: Path) -> None:
    folder = written(tmp_path, ended=True)
    pack_finished(tmp_path, (), later(folder))
    second, third = list_segments(folder)[1:3]
    second.path.write_bytes(b"\xff" * 100)
    numbers, others = read_all(folder)
    lost = range(second.first_seq, third.first_seq)
    assert numbers == [seq for seq in range(1, EVENTS + 1) if seq not in lost]
    assert others == [Gap(lost[0], lost[-1])]


async def test_the_last_number_is_known_without_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path, ended=True)
    pack_finished(tmp_path, (), later(folder))

    async def told() -> Sequence[News]:
        return [each async for each in follow(Streams(tmp_path), STREAM, EVENTS)]

    news = await asyncio.wait_for(told(), 30)
    assert news[-1] == End(EVENTS)
    monkeypatch.setattr(packed, "read_part", None)
    (listed,) = Streams(tmp_path).list()
    assert (listed.first_seq, listed.last_seq, listed.about.ended) == (1, EVENTS, True)


def test_an_attempt_that_goes_on_after_all_keeps_its_count(tmp_path: Path) -> None:
    folder = written(tmp_path, ended=True)
    pack_finished(tmp_path, (), later(folder))
    journal = Journal(folder, 1, {"rig": "web"}, Redactor, echo=io.StringIO())
    assert journal.append(Kind.STATUS, message="again") == EVENTS + 1
    journal.close()
    assert read_all(folder) == (list(range(1, EVENTS + 2)), [])
