"""Fields that take a few values only tell so, in both versions of OpenAPI."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.apiserver.harness import api

CORE = "io.k8s.api.core.v1"


def test_fields_tell_the_values_they_take(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            v2 = (await running.ok("GET", "/openapi/v2"))["definitions"]
            v3 = (await running.ok("GET", "/openapi/v3/api/v1"))["components"]["schemas"]
            for definitions in (v2, v3):
                pod = definitions[f"{CORE}.PodSpec"]["properties"]
                assert pod["dnsPolicy"]["enum"] == [
                    "ClusterFirst",
                    "ClusterFirstWithHostNet",
                    "Default",
                    "None",
                ]
                claim = definitions[f"{CORE}.PersistentVolumeClaimSpec"]["properties"]
                assert "ReadWriteOncePod" in claim["accessModes"]["items"]["enum"]
                assert "enum" not in pod["hostname"]

    asyncio.run(main())
