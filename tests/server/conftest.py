"""Without the extra server there is nothing to test here; `make test` installs it, with the extra dev."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("fastapi") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.server.served import client, footage, indexed, serve

    __all__ = ["client", "footage", "indexed", "serve"]
