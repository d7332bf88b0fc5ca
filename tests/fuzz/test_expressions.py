"""Patterns and rules that would hold up a careless engine: refused, or evaluated in bounded time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.machinery.meta import deep_copy
from tests.fuzz.corpus import collection_of, manifests
from tests.fuzz.served import Served, served

pytestmark = pytest.mark.fuzz

GROUP = "fuzz.example.com"

PATTERNS = {
    "nested repetition": ("^(a+)+$", 201),
    "overlapping repetition": ("(a+a+)+y", 201),
    "overlapping choice": ("^(a|aa)+$", 201),
    "repetition of repetition": ("((((a{0,1000}){0,1000}){0,1000}){0,1000}){0,1000}", 422),
    "too much repetition": ("a{1001}", 422),
    "open groups": ("(" * 2000, 422),
    "open classes": ("[" * 1000, 422),
    "a back reference": (r"(?P<n>a)\1", 422),
    "a look ahead": ("(?=a)", 422),
}

RULES = {
    "a long path": "self" + ".a" * 3000,
    "open groups": "(" * 3000,
    "groups": "(" * 3000 + "self" + ")" * 3000,
    "lists": "[" * 3000 + "]" * 3000,
    "not not": "!" * 5000 + "true",
    "minus minus": "-" * 5000 + "1 == 1",
    "a long sum": "1+" * 5000 + "1 == 5001",
    "a long choice": "true ? " * 3000,
    "a long text": f"'{'a' * 100_000}' == 'a'",
    "a pattern": f"'a'.matches('{'(' * 1000}')",
    "loops in loops": "self.all(a, " * 500,
    "a product": "[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, [1,2,3].map(d, 1)))).size() > 0",
}


def definition(number: int) -> Any:
    made = deep_copy(next(obj for obj in manifests() if obj["kind"] == "CustomResourceDefinition"))
    made["metadata"]["name"] = f"w{number}.{GROUP}"
    made["spec"]["names"] = {"plural": f"w{number}", "kind": f"W{number}"}
    return made


def spec_schema(made: Any) -> Any:
    return made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


async def created(server: Served, made: Any) -> int:
    status, content = await server.call("POST", collection_of(made), made)
    assert status in (201, 422), content[:500]
    return status


def test_patterns(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for number, (name, (pattern, wanted)) in enumerate(PATTERNS.items()):
                made = definition(number)
                spec_schema(made)["properties"]["matched"] = {"type": "string", "pattern": pattern}
                assert await created(server, made) == wanted, name
                if wanted == 201:
                    await no_match(server, number)

    asyncio.run(main())


async def no_match(server: Served, number: int) -> None:
    """Create an object that the pattern refuses, only at its very end."""
    collection = f"/apis/{GROUP}/v1/namespaces/default/w{number}"
    async with asyncio.timeout(10):
        while (await server.call("GET", collection))[0] != 200:
            await asyncio.sleep(0.01)
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"W{number}",
        "metadata": {"name": "a"},
        "spec": {"matched": "a" * 100_000 + "!"},
    }
    status, _ = await server.call("POST", collection, body)
    assert status == 422


def test_rules(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for number, rule in enumerate(RULES.values()):
                made = definition(number)
                spec_schema(made)["x-kubernetes-validations"] = [{"rule": rule}]
                await created(server, made)

    asyncio.run(main())
