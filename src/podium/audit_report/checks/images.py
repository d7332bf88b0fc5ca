"""Which images run, and whether they stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Path, Problem, Rule, Severity
from podium.audit_report.workloads import Workload, as_list, as_object, workload_of
from podium.machinery.errors import Object

TAG = Rule(
    id="image-tag",
    severity=Severity.MEDIUM,
    title="An image has no tag, or the tag latest",
    why="What runs changes without a change here, and a rollback does not bring back what ran before.",
    fix="Name a version, or better a digest.",
)
REGISTRY = Rule(
    id="image-registry",
    severity=Severity.HIGH,
    title="An image comes from a registry that is not allowed",
    why="Whoever may push there decides what runs here.",
    fix="Copy the image to an allowed registry, or allow its own.",
)

DEFAULT_REGISTRY = "docker.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A reference, taken apart."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def full(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"


def parse(reference: str) -> Image:
    """Return the parts of a reference, with the registry that is meant where none is named."""
    rest, _, digest = reference.partition("@")
    head, slash, tail = rest.rpartition("/")
    name, _, tag = tail.partition(":")
    repository = f"{head}{slash}{name}"
    first, slash, below = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return Image(registry=first, repository=below, tag=tag, digest=digest)
    if not slash:
        repository = f"library/{repository}"
    return Image(registry=DEFAULT_REGISTRY, repository=repository, tag=tag, digest=digest)


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    for path, reference in _references(workload):
        image = parse(reference)
        if not image.digest and image.tag in ("", "latest"):
            what = "has the tag latest" if image.tag else "has no tag"
            yield Problem(TAG, path, f"{reference} {what}")
        if context.registries and not any(_is_from(image, one) for one in context.registries):
            yield Problem(REGISTRY, path, f"{reference} comes from {image.registry}")


def _references(workload: Workload) -> Iterator[tuple[Path, str]]:
    """Yield the images that containers run, and those that are mounted as volumes."""
    given = [((*one.path, "image"), one.spec.get("image")) for one in workload.containers()]
    for index, one in enumerate(as_list(workload.spec.get("volumes"))):
        reference = as_object(as_object(one).get("image")).get("reference")
        given.append(((*workload.spec_path, "volumes", index, "image", "reference"), reference))
    yield from ((path, text) for path, text in given if isinstance(text, str) and text)


def _is_from(image: Image, allowed: str) -> bool:
    """Whether an image is below `registry` or `registry/path`."""
    return f"{image.full}/".startswith(f"{allowed.rstrip('/')}/")


IMAGES = Family(name="Images", rules=(TAG, REGISTRY), check=_check)
