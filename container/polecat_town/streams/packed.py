"""Files of journals that are finished, compressed: gzip in small parts, so that any of them can be read alone."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".gz"
PART_BYTES = 65_536
"""About how much of a journal one part holds; it ends with a line."""
_READ_BYTES = 65_536
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


def pack(path: Path) -> Path:
    """Replaces a file by its compressed form, which it gives. A kill leaves one of them, or both. Raises OSError."""
    packed = path.with_name(path.name + SUFFIX)
    draft = path.with_name(f".{packed.name}.new")
    stat = path.stat()
    with path.open("rb") as source, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as to:
        while part := source.read(PART_BYTES):
            part += source.readline()
            compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            to.write(compressor.compress(part) + compressor.flush())
        to.flush()
        os.fsync(to.fileno())
    os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    draft.replace(packed)
    path.unlink()
    return packed


def read_part(path: Path, offset: int) -> tuple[bytes, int]:
    """What the part at a byte of the file holds, and where the next one begins; nothing at the end.

    Raises OSError, and zlib.error for what is no such file.
    """
    unpacker, pieces = zlib.decompressobj(_GZIP), []
    with path.open("rb") as file:
        file.seek(offset)
        while not unpacker.eof:
            chunk = file.read(_READ_BYTES)
            if not chunk:
                # Cut short: what came out so far may end in the middle of a line.
                return b"", offset
            pieces.append(unpacker.decompress(chunk))
        after = file.tell() - len(unpacker.unused_data)
    return b"".join(pieces), after


def lines(path: Path) -> Iterator[bytes]:
    """All lines of a file, packed or not."""
    if path.suffix != SUFFIX:
        with path.open("rb") as file:
            yield from file
        return
    offset = 0
    while True:
        part, offset = read_part(path, offset)
        if not part:
            return
        yield from part.splitlines(keepends=True)
