"""The API described for tools: /openapi/v2, and /openapi/v3 with one document for each group and version.

    catalog -> operations (what may be asked, in words that both versions share)
            -> documents (v2, v3 as JSON) -> gnostic (the same as protobuf) -> serving (kept compressed)

What clients read from it: schemas (kubectl explain, merge keys), which operation takes which kind, and that
writes understand `fieldValidation`.
"""

from podium.apiserver.openapi.serving import OpenApi

__all__ = ["OpenApi"]
