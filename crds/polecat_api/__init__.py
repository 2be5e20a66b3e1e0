"""The resources of Polecat: models, names, branches, conditions and rules that all other parts share.

This package imports none of the others, does no I/O and reads no clock.
"""

GROUP = "polecat.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
