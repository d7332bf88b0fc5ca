"""The documentation says what the code says."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    for name, text in generator().pages().items():
        page = ROOT / "docs" / "reference" / name
        assert page.read_text() == text, f"{page} is out of date: run `make docs`"


def test_every_program_is_in_the_reference() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) <= set(generator().PROGRAMS)


PAGES = ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_paths_in_the_map_exist() -> None:
    """Every `name.py` and `folder/` that the architecture page's map names is there."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    map_ = text.split("## The map")[1].split("```")[1]
    source = ROOT / "src" / "podium"
    for room, rest in re.findall(r"^  (\w+)/ +(.*(?:\n {18}.*)*)", map_, re.MULTILINE):
        assert (source / room).is_dir(), room
        for name in re.findall(r"\b(\w+\.py|\w+/)(?=[\s,·:)]|$)", rest):
            assert list((source / room).rglob(name.rstrip("/"))), f"{room}: {name}"


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
