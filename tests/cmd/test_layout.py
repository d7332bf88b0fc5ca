"""A cluster's place on the machine: slots keep clusters apart, names are checked, shapes are remembered."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from podium.cmd import layout
from podium.cmd.layout import Cluster, LayoutError


@pytest.fixture(autouse=True)
def _own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "base_dir", lambda: tmp_path / "base")


def prepare(state_dir: Path, name: str | None = None, port: int | None = None, nodes: int = 0) -> Cluster:
    return layout.prepare(state_dir, name=name, port=port, nodes=nodes, simulated_nodes=0)


def test_clusters_do_not_share_what_a_machine_has_once(tmp_path: Path) -> None:
    one, two = prepare(tmp_path / "one", nodes=2), prepare(tmp_path / "two", nodes=2)
    for field in ("slot", "service_cidr", "cluster_cidr", "node_cidr", "bridge", "dns_port", "run_dir"):
        assert getattr(one, field) != getattr(two, field)
    assert one.kubelet_port(1) != two.kubelet_port(1)
    assert one.nft_table("proxy", 1) != two.nft_table("proxy", 1)
    assert one.netns(2) != two.netns(2)


def test_a_cluster_keeps_its_slot_and_name_and_port(tmp_path: Path) -> None:
    prepare(tmp_path / "other")
    first = prepare(tmp_path / "one", name="shop", port=7000)
    assert prepare(tmp_path / "one") == first
    assert layout.load(tmp_path / "one") == first


def test_the_slot_of_a_deleted_cluster_is_free_again(tmp_path: Path) -> None:
    one = prepare(tmp_path / "one")
    (tmp_path / "one" / "cluster.json").unlink()
    assert prepare(tmp_path / "two").slot == one.slot


def test_slots_run_out(tmp_path: Path) -> None:
    for number in range(layout.SLOTS_MAX):
        prepare(tmp_path / f"c{number}")
    with pytest.raises(LayoutError, match="slots"):
        prepare(tmp_path / "one-too-many")


@pytest.mark.parametrize(("name", "context"), [("podium", "podium"), ("shop", "podium-shop")])
def test_the_context_s_name(tmp_path: Path, name: str, context: str) -> None:
    assert prepare(tmp_path / "c", name=name).context == context


@pytest.mark.parametrize("name", ["", "a_b", "A", "-a", "a/b", "é"])
def test_names_that_would_not_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayoutError, match="name"):
        prepare(tmp_path / "c", name=name)


def test_there_is_no_cluster_where_none_was_made(tmp_path: Path) -> None:
    assert layout.load(tmp_path) is None


def test_a_broken_record_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(LayoutError, match=r"cluster\.json"):
        layout.load(tmp_path)


def test_addresses_of_services(tmp_path: Path) -> None:
    cluster = dataclasses.replace(prepare(tmp_path / "c"), slot=0)
    assert (cluster.kubernetes_address, cluster.dns_address) == ("10.96.0.1", "10.96.0.10")
