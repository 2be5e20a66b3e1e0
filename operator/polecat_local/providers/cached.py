"""Programs that an earlier run put into the user's cache."""

from polecat_local.binaries import Binaries, Declined
from polecat_local.cache import Cache
from polecat_local.progress import Progress
from polecat_local.providers import gosource, release

KIND = "controlplane"


class CachedProvider:
    """Serves a download or a build of exactly this version table and these sources."""

    name = "cache"

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def provide(self, progress: Progress) -> Binaries | Declined:
        """A build serves whichever Go made it: the compiler's version changes nothing in what it does."""
        for prefix in (release.cache_key(), f"{gosource.source_key()}-"):
            if entry := self._cache.find(KIND, prefix):
                return Binaries.in_directory(entry, f"cache, {entry.name}")
        return Declined(f"nothing of this version in {self._cache.directory(KIND)}")
