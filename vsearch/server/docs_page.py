"""The OpenAPI description as a page that needs no script and no network."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h2{font-size:1.1rem;margin-top:2.2rem}td{padding:.1rem 1.2rem .1rem 0;vertical-align:top}"
)


def page_of(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI 3.1 description."""
    parts = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(operation.get('description', ''))}</p>")
            rows = [_row(one["name"], one["in"], one) for one in operation.get("parameters", [])]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = _resolved(description, content["schema"])
                rows += [_row(name, kind, {"schema": one}) for name, one in schema.get("properties", {}).items()]
            if rows:
                parts.append(f"<table>{''.join(rows)}</table>")
    title = escape(description["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title} {escape(description['info']['version'])}</h1>"
        f"<p>{escape(description['info'].get('description', ''))} "
        f'For programs: <a href="/openapi.json">openapi.json</a></p>{"".join(parts)}</html>'
    )


def _row(name: str, where: str, parameter: dict[str, Any]) -> str:
    text = parameter.get("description") or parameter.get("schema", {}).get("description", "")
    return f"<tr><td><code>{escape(name)}</code><td>{escape(where)}<td>{escape(text)}</tr>"


def _resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = description["components"]["schemas"][name] if name else schema
    return found
