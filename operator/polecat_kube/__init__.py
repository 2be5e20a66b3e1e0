"""The thin API layer: everything that talks to the API server does it through this package.

One bounded session per program, errors that say whether trying again helps, patches with preconditions.
"""
