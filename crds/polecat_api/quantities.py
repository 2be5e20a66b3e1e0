"""Kubernetes quantities, as far as Polecat uses them: memory and storage."""

from __future__ import annotations

import re

PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
"""The quantities that the API accepts (no exponents, no signs)."""

_FACTORS = {
    "": 1.0,
    "m": 0.001,
    **{unit: 1000.0**power for power, unit in enumerate("kMGTP", start=1)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTP", start=1)},
}


def to_bytes(quantity: str) -> int:
    """Bytes in a quantity such as `2Gi` or `500M`, rounded down. Raises ValueError when it is none."""
    if not re.match(PATTERN, quantity):
        raise ValueError(f"{quantity!r} is not a quantity such as 512Mi or 2Gi")
    number, unit = re.match(r"([0-9.]+)(.*)", quantity).groups()  # type: ignore[union-attr]
    return int(float(number) * _FACTORS[unit])
