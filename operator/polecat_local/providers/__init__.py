"""The places that the control plane's programs come from, in the order in which they are asked."""

from polecat_local.binaries import Binaries, Provider, first_that_serves
from polecat_local.cache import Cache
from polecat_local.progress import Progress
from polecat_local.providers.cached import CachedProvider
from polecat_local.providers.found import FoundProvider
from polecat_local.providers.gobuild import GoBuildProvider
from polecat_local.providers.release import ReleaseProvider


def default_providers(cache: Cache) -> list[Provider]:
    """Found on this machine → cache → official release download → build from the Go modules."""
    return [FoundProvider(), CachedProvider(cache), ReleaseProvider(cache), GoBuildProvider(cache)]


async def control_plane_binaries(cache: Cache, progress: Progress) -> Binaries:
    """The four programs; raises NoBinariesError when no place has them."""
    return await first_that_serves(default_providers(cache), progress)
