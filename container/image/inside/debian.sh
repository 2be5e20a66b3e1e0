#!/bin/sh
# Brings Debian up to date, installs the packages given, makes the user, and leaves nothing behind that depends on
# the time of the build. Used by container/Containerfile.
set -eu
. "$(dirname "$0")/network.sh"
export DEBIAN_FRONTEND=noninteractive

# APT_OPTIONS comes from the building machine: its proxy, its way of checking dates.
# shellcheck disable=SC2086
apt_get() { apt-get -q ${APT_OPTIONS:-} "$@"; }
apt_get update
apt_get -y upgrade
apt_get -y install --no-install-recommends "$@"
apt_get clean

printf 'polecat:x:1000:1000::/tmp:/bin/bash\n' >> /etc/passwd
printf 'polecat:x:1000:\n' >> /etc/group

# Nobody in a container becomes somebody else.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# Debian's byte code names the time of its source, which the layers don't keep; this one is taken as it is.
python3 -m compileall -q -f --invalidation-mode unchecked-hash "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

find /var/log -type f -delete
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old \
    /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock /tmp/* /root/.cache
