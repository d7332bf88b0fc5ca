"""Hostile addresses: names, paths, selectors, versions, limits and tokens. Each is the client's mistake."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from podium.apiserver.registry.patch import MERGE_PATCH
from tests.fuzz.served import served

pytestmark = pytest.mark.fuzz

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
VERSION = "meta.k8s.io/v1"
TOKEN_BROKEN = "invalid continue token: continue key is not valid: "


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


BAD_TOKENS = {
    "garbage": "invalid character '\\u0081' looking for beginning of value",
    "a": "illegal base64 data at input byte 0",
    "a b": "illegal base64 data at input byte 1",
    "é": "illegal base64 data at input byte 0",
    "e30=": "illegal base64 data at input byte 3",
    "e30": "server does not recognize this encoded version ",
    token(v="v9", rv=1, start="a"): "server does not recognize this encoded version v9",
    token(v=VERSION): "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    token(v=VERSION, rv=0, start="a"): "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    token(v=VERSION, rv=1): "encoded start key empty (version meta.k8s.io/v1)",
    token(v=VERSION, rv="1", start="a"): (
        "json: cannot unmarshal string into Go struct field continueToken.rv of type int64"
    ),
    token(v=VERSION, rv=2**63, start="a"): (
        f"json: cannot unmarshal number {2**63} into Go struct field continueToken.rv of type int64"
    ),
    token(v=VERSION, rv=True, start="a"): (
        "json: cannot unmarshal bool into Go struct field continueToken.rv of type int64"
    ),
    token(v=VERSION, rv=1, start=5): (
        "json: cannot unmarshal number 5 into Go struct field continueToken.start of type string"
    ),
    token(v=VERSION, rv=1, start="../kube-system/a"): "../kube-system/a",
    token(v=VERSION, rv=1, start="../../secrets/kube-system/a\0"): "../../secrets/kube-system/a\0",
    token(v=VERSION, rv=1, start="a/../../b"): "a/../../b",
    token(v=VERSION, rv=1, start="./a"): "./a",
    token(v=VERSION, rv=1, start="a//b"): "a//b",
    token(v=VERSION, rv=1, start="//a"): "//a",
}


def test_continue_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for text, why in BAD_TOKENS.items():
                for method in ("GET", "DELETE"):
                    target = f"{CONFIG_MAPS}?limit=1&continue={quote(text)}"
                    status, content = await server.call(method, target)
                    assert (status, message(content)) == (400, TOKEN_BROKEN + why), text
            # Odd, but within the list: they find what is behind them.
            for start in ("\ud7ff" * 500, "z\0b\0", "/z", "a" * 5000):
                chosen = token(v=VERSION, rv=-1, start=start)
                status, content = await server.call("GET", f"{CONFIG_MAPS}?continue={chosen}")
                assert status == 200, content

    asyncio.run(main())


@pytest.mark.parametrize("parameter", ["limit", "timeoutSeconds"])
def test_numbers(tmp_path: Path, parameter: str) -> None:
    range_, syntax = "value out of range", "invalid syntax"
    cases = {
        "1e3": syntax,
        "0x10": syntax,
        " 5": syntax,
        "1_000": syntax,
        "１": syntax,
        "\0": syntax,
        "9" * 30: range_,
        "9" * 9000: range_,
        str(2**63): range_,
        str(-(2**63) - 1): range_,
    }

    async def main() -> None:
        async with served(tmp_path) as server:
            for text, why in cases.items():
                status, content = await server.call("GET", f"{CONFIG_MAPS}?{parameter}={quote(text)}")
                assert (status, message(content)) == (400, f'strconv.ParseInt: parsing "{text}": {why}')
            for text in ("-1", "0", "+5", str(2**63 - 1), str(-(2**63))):
                status, content = await server.call("GET", f"{CONFIG_MAPS}?{parameter}={quote(text)}")
                assert status == 200, content

    asyncio.run(main())


def test_resource_versions(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for text in ("-1", "abc", "1.5", "1e3", " 1", "\0", "１", "0x10", "é", "9" * 9000, str(2**64)):
                sent = quote(text)
                status, content = await server.call("GET", f"{CONFIG_MAPS}?resourceVersion={sent}")
                assert status == 400, (text, content)
                # Upstream's own: a watch, and a GET of one object, call the same mistake a 500.
                for target in (f"{CONFIG_MAPS}?watch=1&", f"{CONFIG_MAPS}/a?"):
                    status, content = await server.call("GET", f"{target}resourceVersion={sent}")
                    assert "strconv.ParseUint" in message(content)

    asyncio.run(main())


SELECTORS = (
    "=",
    "!",
    "!!",
    "a!",
    "a==b=c",
    "a in",
    "a in (((((",
    "in in (in",
    "(" * 5000,
    "a>x",
    "a>1,b<",
    "\x00",
    "é=ü",
    "a=\x00",
    "/a=b",
    "a/b/c=d",
    "a=" + "b" * 64,
    "a" * 64 + "=b",
    "a=b)",
    "A b",
    "-a=b",
    '"a"="b"',
)


def test_selectors(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for text in SELECTORS:
                for watch in ("", "&watch=1&timeoutSeconds=1"):
                    target = f"{CONFIG_MAPS}?labelSelector={quote(text)}{watch}"
                    status, content = await server.call("GET", target)
                    assert status == 400, (text, content)
            large = ",".join(f"a{number}!=b" for number in range(5000))
            many = "a notin (" + ",".join(f"v{number}" for number in range(8000)) + ")"
            for text in (large, many):
                status, _ = await server.call("GET", f"{CONFIG_MAPS}?labelSelector={quote(text)}")
                assert status == 200
            for text in (large.replace("a", "spec.a"), "metadata.name=../x", "x" * 60_000, "a=b=c", "\\"):
                status, _ = await server.call("GET", f"{CONFIG_MAPS}?fieldSelector={quote(text)}")
                assert status in (200, 400)

    asyncio.run(main())


NAMES = (
    "..",
    ".",
    "%2e%2e",
    "a%2fb",
    "%2f",
    "%00",
    "a%00",
    "é",
    "%ff",
    "%c3%28",
    "a" * 10_000,
    "%20",
    "a%0d%0ab",
    "A",
    "a_b",
    "a:b",
    "a%25",
    "%",
    "%zz",
    "a//b",
    "//",
    "a/",
    "a/status/x",
    "~",
    "*",
    "%252e%252e",
    "日本",
)


def test_names_and_paths(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            before = (await server.call("GET", CONFIG_MAPS))[1]
            for name in NAMES:
                targets = (
                    f"{CONFIG_MAPS}/{name}",
                    f"/api/v1/nodes/{name}",
                    f"/api/v1/namespaces/{name}/configmaps/a",
                    f"/apis/{name}/v1/things/a",
                    f"/apis/apps/v1/{name}/a",
                    f"/{name}/a",
                )
                for target in targets:
                    for method in ("GET", "PUT", "PATCH", "DELETE"):
                        body = {"metadata": {"name": "a"}}
                        status, content = await server.call(method, target, body, type=MERGE_PATCH)
                        # The collections' own paths, for names that are none, and unreadable media types.
                        assert status < 500, (method, target, content[:200])
                        assert status >= 400 or name in ("//", "a/") or method == "GET", (method, target)
            assert (
                orjson.loads((await server.call("GET", CONFIG_MAPS))[1])["items"]
                == (orjson.loads(before)["items"])
            )

    asyncio.run(main())


ODD_TARGETS = (
    "",
    "*",
    "//api//v1",
    "/api/v1/watch",
    "/api/v1/watch/pods/..",
    "/api/v1/namespaces//configmaps",
    "/openapi/v3/../v2",
    "/openapi/v3/apis/x/y?hash=zz",
    "/livez?exclude=%00",
    "/readyz?verbose&exclude=" + "a" * 5000,
    "/version/..",
    "/api/v1/namespaces/default/pods/x/log?tailLines=abc",
    "/api/v1/namespaces/default/pods/x/exec?command=%00",
    "/api/v1/namespaces/default/services/a:b:c:d/proxy/",
    "/api/v1/namespaces/default/pods/:::/proxy",
    "/api/v1/configmaps?" + "&".join(f"a{number}=b" for number in range(8000)),
    "/api/v1/configmaps?" + "&" * 30_000,
    "/api/v1/configmaps?%",
    "/api/v1/configmaps?=&=",
)


def test_odd_targets(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            for target in ODD_TARGETS:
                for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY"):
                    status, content = await server.call(method, target, b"{}")
                    assert status < 500, (method, target[:100], content[:200])

    asyncio.run(main())


def message(content: bytes) -> str:
    return str(orjson.loads(content)["message"])
