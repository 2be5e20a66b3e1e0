"""The program behind `bin/kilo`: the same HTTP API and events as `kilo serve` 7.7.7, as far as a town uses them.

Standard library only, and of that only what starts quickly: it runs in hundreds, without a virtual environment,
inside domains where little can be read. It works with Python 3.10, since the system's Python runs it.
"""

VERSION = "7.7.7"
