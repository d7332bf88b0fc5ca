"""The pages of Swagger UI at /swagger-ui/, with `--enable-swagger-ui`: upstream's once, and dropped there.

The files come from the package `swagger-ui-bundle` (the extra `swagger-ui`), whose code is never imported.
The page shows /openapi/v2 of this server; whoever opens it needs the right to read both.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from podium.base.http.message import Headers, Response

PACKAGE = "swagger_ui_bundle"
PATH = "/swagger-ui"
MISSING = "--enable-swagger-ui needs the package swagger-ui-bundle: pip install 'podium[swagger-ui]'"
_SCRIPT = "swagger-ui-bundle.js"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Kubernetes API</title>
<link rel="stylesheet" href="swagger-ui.css">
<link rel="icon" type="image/png" href="favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi/v2",
  dom_id: "#swagger-ui",
  docExpansion: "none",
  tagsSorter: "alpha",
  validatorUrl: null,
});
"""


def folder() -> Path | None:
    """Return where the package keeps the files; None when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(place).rglob(_SCRIPT), reverse=True):
            return found.parent
    return None


class SwaggerUi:
    """Answers for the paths of the pages."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.name: path for path in folder.iterdir() if path.suffix in _TYPES and path.is_file()
        }

    def answer(self, path: str) -> Response | None:
        """Return the file at a path below `PATH`; None where there is none."""
        name = path.removeprefix(PATH).lstrip("/")
        if path == PATH:
            # Relative links only work below a slash.
            return Response(status=301, headers=Headers([("location", f"{PATH}/")]))
        if name in ("", "index.html"):
            return _file(_PAGE.encode(), ".html")
        if name == "start.js":
            return _file(_START.encode(), ".js")
        found = self._files.get(name)
        return None if found is None else _file(found.read_bytes(), found.suffix)


def _file(content: bytes, suffix: str) -> Response:
    headers = Headers(
        [
            ("content-type", _TYPES[suffix]),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-cache, private"),
        ]
    )
    return Response(headers=headers, body=content)
