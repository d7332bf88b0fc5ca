"""The rendered containerd configuration."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from podium.kubelet.containerd import ContainerdNode, command, render

NODE = ContainerdNode(
    root_dir='/var/lib/podium/"odd"/containerd',
    state_dir="/run/podium/a/containerd",
    socket="/run/podium/a/containerd/containerd.sock",
    sandbox_image="podium.dev/pause:1",
    cni_conf_dir="/var/lib/podium/a/cni",
)


def test_everything_lives_below_the_nodes_own_directories() -> None:
    config = tomllib.loads(render(NODE))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["root"] == NODE.root_dir
    assert config["state"] == NODE.state_dir
    assert config["grpc"]["address"] == NODE.socket
    assert cri["sandbox_image"] == NODE.sandbox_image
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": NODE.cni_conf_dir, "max_conf_num": 1}
    assert cri["containerd"]["snapshotter"] == "overlayfs"
    assert cri["netns_mounts_under_state_dir"] is True


def test_the_snapshotter_can_be_chosen() -> None:
    config = tomllib.loads(render(replace(NODE, snapshotter="native")))
    assert config["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["snapshotter"] == "native"


def test_a_socket_path_too_long_for_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 107 bytes"):
        render(replace(NODE, socket="/run/" + "x" * 100))


def test_the_command_runs_in_the_foreground_with_this_configuration() -> None:
    assert command("/run/a/config.toml") == [
        "containerd",
        "--config",
        "/run/a/config.toml",
        "--log-level",
        "warn",
    ]
