"""Recipes: what goes into an image, as a small TOML file, for machines without Docker.

name = "podium.local/hello:1"

[files]                           # path in the image = path on this machine, relative to the recipe
"/bin/busybox" = "/bin/busybox"
"/srv" = "site"                   # a directory is copied whole

[links]                           # target = the links that lead to it
"busybox" = ["/bin/sh", "/bin/httpd"]

[config]
entrypoint = ["/bin/httpd"]
command = ["-f", "-p", "8080"]
working_dir = "/srv"
user = "65534"
env = { LANG = "C" }
labels = {}
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.imageregistry import oci


class RecipeError(Exception):
    """A recipe that cannot be followed; the message names the file and the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe with its files read."""

    name: str
    files: dict[str, oci.File]
    config: oci.Config


def read(path: Path) -> Recipe:
    """Read a recipe and the files it names. Raises RecipeError."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from error
    unknown = document.keys() - {"name", "files", "links", "config"}
    if unknown:
        raise RecipeError(f"{path}: unknown field {sorted(unknown)[0]!r}")
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise RecipeError(f"{path}: name: required")
    files = _files(path, _table(path, document, "files"))
    files.update(_links(path, _table(path, document, "links")))
    return Recipe(name=name, files=files, config=_config(path, _table(path, document, "config")))


def _table(path: Path, document: dict[str, Any], field: str) -> dict[str, Any]:
    table = document.get(field, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{path}: {field}: must be a table")
    return table


def _files(path: Path, table: dict[str, Any]) -> dict[str, oci.File]:
    files: dict[str, oci.File] = {}
    for target, source in table.items():
        if not target.startswith("/") or not isinstance(source, str):
            raise RecipeError(f"{path}: files.{target!r}: must be an absolute path = a path on this machine")
        origin = path.parent / source
        try:
            if origin.is_dir():
                files.update(oci.files_below(origin, target))
            else:
                files[target] = oci.File(content=origin.read_bytes(), mode=origin.stat().st_mode & 0o7777)
        except OSError as error:
            raise RecipeError(f"{path}: files.{target!r}: {error}") from error
    return files


def _links(path: Path, table: dict[str, Any]) -> dict[str, oci.File]:
    links: dict[str, oci.File] = {}
    for target, names in table.items():
        if not isinstance(names, list) or not all(isinstance(n, str) and n.startswith("/") for n in names):
            raise RecipeError(f"{path}: links.{target!r}: must be a list of absolute paths")
        links.update({name: oci.File(link=target) for name in names})
    return links


_CONFIG_TYPES = {
    "entrypoint": list,
    "command": list,
    "env": dict,
    "working_dir": str,
    "user": str,
    "labels": dict,
}


def _config(path: Path, table: dict[str, Any]) -> oci.Config:
    for field, value in table.items():
        wanted = _CONFIG_TYPES.get(field)
        if wanted is None:
            raise RecipeError(f"{path}: config.{field}: unknown field")
        items = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(value, wanted) or not all(isinstance(item, str) for item in items):
            raise RecipeError(f"{path}: config.{field}: must be a {wanted.__name__} of strings")
    return oci.Config(**table)
