"""What a root remembers, in which order, and whom it tells."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from podium.apiserver.cacher import root as root_module
from podium.apiserver.cacher.entry import Entry, encode, item_of
from podium.apiserver.cacher.root import Root
from podium.apiserver.cacher.selection import FieldMatch, Selection
from podium.apiserver.cacher.watcher import BUFFERED_BYTES_MAX, Watcher
from podium.machinery import labels
from podium.machinery.errors import Expired, Object
from tests.apiserver.harness import Collector


class Plain:
    """Renders events as their type, key and revision."""

    def __init__(self) -> None:
        self.encoded = 0

    def line(self, type: str, entry: Entry) -> bytes:
        self.encoded += 1
        return orjson.dumps([type, entry.key, entry.revision]) + b"\n"

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return orjson.dumps(["BOOKMARK", revision]) + b"\n"

    def error(self, status: Object) -> bytes:
        return orjson.dumps(["ERROR", status["code"]]) + b"\n"


def entry(key: str, revision: int, **content: Any) -> Entry:
    namespace, _, name = key.rpartition("/")
    obj = {"metadata": {"name": name, "namespace": namespace, **content.pop("metadata", {})}, **content}
    return Entry(key, item_of(encode(obj, "Thing", "v1"), revision), revision)


def put(root: Root, key: str, revision: int, **content: Any) -> None:
    root.apply(key, entry(key, revision, **content), revision)


def watch(root: Root, selection: Selection, form: Plain | None = None) -> tuple[Collector, Watcher]:
    client = Collector()
    watcher = Watcher(client, selection, form or Plain())
    watcher.go_live()
    root.add(watcher)
    return client, watcher


def test_the_revision_is_spliced_into_stored_bytes() -> None:
    stored = encode({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"x": 1}}, "Thing", "v1")
    assert orjson.loads(stored)["metadata"]["resourceVersion"] == ""
    item = orjson.loads(item_of(stored, 42))
    assert item == {"metadata": {"resourceVersion": "42", "name": "a"}, "spec": {"x": 1}}


def test_foreign_bytes_are_read_too() -> None:
    foreign = b'{"spec":{},"metadata":{"name":"a"},"apiVersion":"v1","kind":"Thing"}'
    assert orjson.loads(item_of(foreign, 3)) == {
        "metadata": {"resourceVersion": "3", "name": "a"},
        "spec": {},
    }


def test_a_range_is_one_namespace_in_key_order() -> None:
    root = Root("/registry/things/")
    for revision, key in enumerate(("b/x", "a/z", "a/y", "a-b/x", "aa/x"), start=2):
        put(root, key, revision)
    assert [one.key for one in root.range("a/")] == ["a/y", "a/z"]
    assert [one.key for one in root.range("")] == ["a-b/x", "a/y", "a/z", "aa/x", "b/x"]
    assert [one.key for one in root.range("a/", after="a/y")] == ["a/z"]
    assert root.count("", after="a/y") == 3


def test_events_come_back_after_a_revision_until_they_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(root_module, "EVENTS_KEPT_MAX", 3)
    root = Root("/registry/things/")
    root.fill([], revision=10)
    for revision in range(11, 16):
        put(root, "n/a", revision)
    assert [event.revision for event in root.events_after(13)] == [14, 15]
    assert [event.revision for event in root.events_after(12)] == [13, 14, 15]
    with pytest.raises(Expired, match=r"too old resource version: 11 \(12\)"):
        root.events_after(11)


def test_an_event_is_encoded_once_for_all_who_see_it_in_one_form() -> None:
    root, form = Root("/registry/things/"), Plain()
    clients = [watch(root, Selection(), form)[0] for _ in range(5)]
    put(root, "n/a", 2)
    assert form.encoded == 1
    assert all(client.lines == [["ADDED", "n/a", 2]] for client in clients)


def test_a_selector_sees_objects_come_and_go() -> None:
    root = Root("/registry/things/")
    client, _ = watch(root, Selection(labels=labels.parse("on=yes")))
    put(root, "n/a", 2, metadata={"labels": {"on": "no"}})
    put(root, "n/a", 3, metadata={"labels": {"on": "yes"}})
    put(root, "n/a", 4, metadata={"labels": {"on": "yes", "more": "x"}})
    put(root, "n/a", 5, metadata={"labels": {}})
    put(root, "n/a", 6, metadata={"labels": {"on": "yes"}})
    root.apply("n/a", None, 7)
    assert client.lines == [
        ["ADDED", "n/a", 3],
        ["MODIFIED", "n/a", 4],
        ["DELETED", "n/a", 5],
        ["ADDED", "n/a", 6],
        ["DELETED", "n/a", 7],
    ]


def test_a_watch_of_one_field_looks_at_nothing_else() -> None:
    root = Root("/registry/things/")
    asked: list[str] = []

    def node(obj: Any) -> str:
        asked.append(obj["metadata"]["name"])
        return str((obj.get("spec") or {}).get("node", ""))

    def on(name: str) -> Selection:
        return Selection(fields=(FieldMatch(path="spec.node", value=name, negative=False, getter=node),))

    one, _ = watch(root, on("n1"))
    other, watcher = watch(root, on("n2"))
    put(root, "n/a", 2, spec={"node": "n1"})
    put(root, "n/a", 3, spec={"node": "n2"})
    assert one.lines == [["ADDED", "n/a", 2], ["DELETED", "n/a", 3]]
    assert other.lines == [["ADDED", "n/a", 3]]
    assert asked == ["a", "a"], "each state is decoded once, however many watch it"
    root.remove(watcher)
    put(root, "n/a", 4, spec={"node": "n2"})
    assert len(other.lines) == 1


def test_namespaces_and_names_are_kept_apart() -> None:
    root = Root("/registry/things/")
    in_a, _ = watch(root, Selection(namespace="a"))
    named, _ = watch(root, Selection(namespace="a", name="x"))
    for revision, key in enumerate(("a/x", "a/y", "b/x"), start=2):
        put(root, key, revision)
    assert [line[1] for line in in_a.lines] == ["a/x", "a/y"]
    assert [line[1] for line in named.lines] == ["a/x"]


def test_a_reader_that_does_not_keep_up_is_cut_off_and_delays_nobody() -> None:
    root = Root("/registry/things/")
    slow, _ = watch(root, Selection())
    quick, _ = watch(root, Selection())
    slow.stalled = True
    slow.buffered_bytes = BUFFERED_BYTES_MAX
    put(root, "n/a", 2)
    assert slow.aborted
    assert quick.lines == [["ADDED", "n/a", 2]]


def test_events_wait_while_the_initial_state_is_on_its_way() -> None:
    root = Root("/registry/things/")
    client = Collector()
    watcher = Watcher(client, Selection(), Plain())
    root.add(watcher)
    put(root, "n/a", 2)
    assert client.lines == []
    watcher.go_live()
    put(root, "n/a", 3)
    assert [line[2] for line in client.lines] == [2, 3]


def test_each_watcher_of_an_audience_starts_where_it_asked_to() -> None:
    root, form = Root("/registry/things/"), Plain()
    early, _ = watch(root, Selection(), form)
    late, watcher = watch(root, Selection(), form)
    watcher.after_revision = 3
    for revision in (2, 3, 4):
        put(root, "n/a", revision)
    assert [line[2] for line in early.lines] == [2, 3, 4]
    assert [line[2] for line in late.lines] == [4]
    root.remove(watcher)
    put(root, "n/a", 5)
    assert [line[2] for line in early.lines] == [2, 3, 4, 5]
    assert [line[2] for line in late.lines] == [4]
