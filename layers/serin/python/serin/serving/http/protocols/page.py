"""How does a person read a model's OpenAPI? As one page of HTML that loads nothing."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from serin.serving.rows.encode import MAX_MAGNITUDE

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .3rem } code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { background: #f4f4f2; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 4px }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top }
th { border-bottom: 1px solid #ccc } .verb { color: #06c } summary { cursor: pointer; color: #555 }
"""


def write(document: dict[str, Any]) -> str:
    """Write the page of an OpenAPI document."""
    info, schemas = document["info"], document["components"]["schemas"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])}</h1><p>Version {escape(info['version'])}. {escape(info['description'])} "
        'For tools: <a href="openapi.json">openapi.json</a>.</p>'
        f"<h2>What a row holds</h2>{_features(schemas['Row'])}{''.join(operations)}</html>\n"
    )


def _features(row: dict[str, Any]) -> str:
    lines = []
    for name, value in row["properties"].items():
        kinds = " or ".join(kind for kind in value.get("type", ["anything"]) if kind != "null")
        limits = _limits(value["minimum"], value["maximum"]) if "minimum" in value else ""
        seen = ", ".join(value.get("examples", []))
        missing = "required" if name in row.get("required", ()) else "may be missing"
        notes = [value.get("description", ""), limits or (f"such as {seen}" if seen else "")]
        lines.append([name, kinds, missing, " ".join(filter(None, notes))])
    return _table(["column", "type", "", "values"], lines)


def _limits(low: float, high: float) -> str:
    named = ([f"from {low:.15g}"] if low > -MAX_MAGNITUDE else []) + (
        [f"to {high:.15g}"] if high < MAX_MAGNITUDE else []
    )
    return " ".join(named)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    needed = [
        f"{parameter['name']}={parameter['example']}"
        for parameter in operation.get("parameters", ())
        if "example" in parameter
    ]
    query = f"?{'&'.join(needed)}" if needed else ""
    examples = [
        _curl(method, path, kind, example["value"])
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        for example in content.get("examples", {}).values()
    ] or [_curl(method, f"{path}{query}", None, None)]
    responses = operation["responses"].items()
    statuses = _table(["status", "when"], [[status, response["description"]] for status, response in responses])
    return (
        f'<h2><span class="verb">{method.upper()}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation['summary'])}</p>"
        f"{''.join(f'<pre>{escape(example)}</pre>' for example in examples)}"
        f"<details><summary>answers</summary>{statuses}</details>"
    )


def _curl(method: str, path: str, kind: str | None, value: Any) -> str:
    command = f'curl -s{" -X POST" if method == "post" and kind is None else ""} "$SERIN_URL{path}"'
    command += ' -H "x-api-key: $SERIN_API_KEY"'
    if kind is None:
        return command
    body = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    body = body.replace("'", "'\\''")
    return f"{command} \\\n  -H 'content-type: {kind}' --data-binary '{body}'"


def _table(head: list[str], lines: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr>{top}</tr>{rows}</table>"
