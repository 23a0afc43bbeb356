"""schemathesis asks all that the OpenAPI description allows, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="it comes with the extra dev")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.server.served import Serve
from vsearch.server.server_state import Access

ANYBODY = Access(hosts=frozenset())
ROUTES = [
    ("GET", "/search"),
    ("POST", "/search"),
    ("GET", "/videos"),
    ("GET", "/videos/{id}"),
    ("GET", "/scenes/{id}/thumbnail"),
    ("GET", "/scenes/{id}/clip"),
    ("POST", "/index"),
    ("GET", "/jobs/{id}"),
    ("GET", "/health"),
    ("GET", "/metrics"),
]


def test_the_description_holds_these_routes(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_found(serve: Serve, footage: Path, method: str, path: str) -> None:
    client = serve(roots=[footage], jobs_waiting=10_000, runner=lambda paths: (_ for _ in ()), access=ANYBODY)
    description = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    operation = description[path][method]
    # Valid words may make no sense together: until before since, an unknown scene, a picture that is none.
    left_out = [schemathesis.checks.positive_data_acceptance] if path in ("/search", "/index") else []

    modes = list(schemathesis.GenerationMode)
    if path in ("/health", "/metrics"):  # they have no parameters that could be wrong
        modes = [schemathesis.GenerationMode.POSITIVE]

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        for mode in modes:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            case.call_and_validate(excluded_checks=left_out)

    ask()
