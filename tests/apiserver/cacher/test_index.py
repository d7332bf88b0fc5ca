"""Selective lists look at what an index says, and lists do not look inside at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.apiserver.cacher import root as root_module
from podium.apiserver.cacher.entry import Entry, encode, item_of
from podium.apiserver.cacher.index import INDEXED_FROM, INDEXES_MAX
from podium.apiserver.cacher.root import Root
from podium.apiserver.cacher.selection import FieldMatch, Selection
from podium.apiserver.http.representation import WholeForm
from podium.apiserver.registry.read import Listing
from podium.apiserver.registry.served import Served
from podium.machinery import labels
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS


def entry(key: str, revision: int, *, node: str = "", marks: Mapping[str, str] | None = None) -> Entry:
    namespace, _, name = key.rpartition("/")
    metadata: Object = {"name": name, "namespace": namespace}
    if marks:
        metadata["labels"] = marks
    return Entry(
        key, item_of(encode({"metadata": metadata, "spec": {"n": node}}, "Pod", "v1"), revision), revision
    )


def filled(count: int = INDEXED_FROM) -> Root:
    root = Root("/registry/pods/")
    for n in range(count):
        marks = {"app": f"a{n % 16}", "tier": "x"}
        root.apply(
            f"ns{n % 2}/p{n:04}", entry(f"ns{n % 2}/p{n:04}", n + 1, node=f"n{n % 64}", marks=marks), n + 1
        )
    return root


def on_node(node: str, getter: Callable[[Object], str], namespace: str = "") -> Selection:
    field = FieldMatch(path="spec.n", value=node, negative=False, getter=getter)
    return Selection(namespace=namespace, fields=(field,))


def labelled(text: str, namespace: str = "") -> Selection:
    return Selection(namespace=namespace, labels=labels.parse(text))


def node_of(obj: Object) -> str:
    return str(obj["spec"]["n"])


def keys(entries: list[Entry]) -> list[str]:
    return [found.key for found in entries]


def test_a_field_is_read_once_for_each_object_and_then_only_of_what_changes() -> None:
    root, asked = filled(), []

    def counted(obj: Object) -> str:
        asked.append(obj["metadata"]["name"])
        return node_of(obj)

    wanted = on_node("n7", counted)
    first = root.select(wanted)
    assert [found.key for found in first] == ["ns1/p0007", "ns1/p0071", "ns1/p0135", "ns1/p0199"]
    assert len(asked) == INDEXED_FROM
    root.apply("ns0/new", entry("ns0/new", 1000, node="n7"), 1000)
    root.apply("ns1/p0007", None, 1001)
    root.apply("ns1/p0071", entry("ns1/p0071", 1002, node="n8"), 1002)
    assert keys(root.select(wanted)) == ["ns0/new", "ns1/p0135", "ns1/p0199"]
    assert asked[INDEXED_FROM:] == ["new", "p0071"]


def test_only_what_the_index_says_is_looked_at() -> None:
    root = filled()
    candidates = root.candidates(labelled("app=a3,tier!=y"))
    assert candidates is not None
    assert len(candidates) == INDEXED_FROM / 16
    inside = root.candidates(labelled("app=a3", "ns0"))
    assert inside == [], "what is odd is in the other namespace"
    assert root.candidates(labelled("app=a3"), after="ns1/p0200") == [
        found for found in candidates if found.key > "ns1/p0200"
    ]


def test_the_narrower_of_two_indexes_is_taken() -> None:
    candidates = filled().candidates(labelled("app=a3,tier=x"))
    assert candidates is not None
    assert len(candidates) == INDEXED_FROM / 16


@pytest.mark.parametrize("text", ["app!=a3", "app in (a1,a2)", "!app", "app"])
def test_without_one_certain_value_no_index_helps(text: str) -> None:
    root = filled()
    assert root.candidates(labelled(text)) is None
    parsed = labels.parse(text)
    assert keys(root.select(labelled(text))) == [
        k for k in root.keys if parsed.matches(root.entries[k].labels)
    ]


def test_small_roots_have_no_index() -> None:
    assert filled(INDEXED_FROM - 1).candidates(labelled("app=a3")) is None


def test_indexes_are_bounded() -> None:
    root = filled()
    for n in range(INDEXES_MAX):
        assert root.candidates(labelled(f"l{n}=x")) == []
    assert root.candidates(labelled("one-more=x")) is None
    assert root.candidates(labelled("l0=x")) == []


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 5), st.one_of(st.none(), st.tuples(st.sampled_from("xyz"), st.sampled_from("abc")))
    ),
    max_size=60,
)


@given(CHANGES)
def test_an_index_finds_what_looking_through_finds(changes: list[tuple[int, tuple[str, str] | None]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root_module, "INDEXED_FROM", 0)
        root = Root("/registry/pods/")
        for revision, (number, content) in enumerate(changes, 1):
            key = f"ns{number % 2}/p{number}"
            made = None
            if content is not None:
                made = entry(key, revision, node=content[0], marks={"app": content[1]})
            root.apply(key, made, revision)
            for selection in (on_node("x", node_of), labelled("app=a"), labelled("app=b", "ns1")):
                expected = [found for found in root.range(selection.prefix) if selection.matches(found)]
                assert root.candidates(selection) is not None
                assert root.select(selection) == expected


def test_labels_and_lists_need_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    root = filled(8)
    form = WholeForm(Served(PODS, root))

    def decode(_entry: Entry) -> Object:
        raise AssertionError("looked inside")

    monkeypatch.setattr(Entry, "decode", decode)
    entries = root.select(labelled("app in (a1,a2)"))
    assert keys(entries) == ["ns0/p0002", "ns1/p0001"]
    body = b"".join(form.list(Listing(entries=root.select(Selection()), revision=8)))
    assert body.count(b'"resourceVersion"') == 9
    assert entry("ns/bare", 1).labels == {}


def test_labels_of_something_inside_are_not_the_objects_own() -> None:
    obj = {"metadata": {"name": "a"}, "spec": {"template": {"metadata": {"labels": {"app": "inner"}}}}}
    assert Entry("a", item_of(encode(obj, "Deployment", "apps/v1"), 1), 1).labels == {}
