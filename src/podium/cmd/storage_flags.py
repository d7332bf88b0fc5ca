"""kube-apiserver's flags about where objects are kept, and the store they ask for."""

from __future__ import annotations

import argparse

from podium.store.protocol import Store

_ETCD_FILES = ("etcd_cafile", "etcd_certfile", "etcd_keyfile")


def add_storage(made: argparse.ArgumentParser) -> None:
    add = made.add_argument
    add(
        "--storage-backend",
        default="",
        choices=("sqlite", "etcd3"),
        help="where objects are kept: in a file of this server's, or on an etcd cluster, which "
        "--etcd-servers asks for too",
    )
    add("--storage-path", default="podium.db", help="file of the SQLite store")
    add("--etcd-servers", default="", metavar="URL,...", help="the members of the etcd cluster")
    add("--etcd-cafile", default="", help="authorities of etcd's certificates")
    add("--etcd-certfile", default="", help="certificate shown to etcd")
    add("--etcd-keyfile", default="", help="its key")


def wrong_storage(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, or nothing."""
    servers = bool(arguments.etcd_servers)
    if arguments.storage_backend == "etcd3" and not servers:
        return "--storage-backend=etcd3 needs --etcd-servers"
    if arguments.storage_backend == "sqlite" and servers:
        return "--etcd-servers: objects are kept in SQLite (--storage-backend)"
    if not servers and any(getattr(arguments, name) for name in _ETCD_FILES):
        return "--etcd-cafile, --etcd-certfile and --etcd-keyfile need --etcd-servers"
    if bool(arguments.etcd_certfile) is not bool(arguments.etcd_keyfile):
        return "--etcd-certfile and --etcd-keyfile go together"
    return ""


async def open_store(arguments: argparse.Namespace) -> Store:
    """Open the store that the flags ask for. Raises `StoreError`, and `ValueError` for URLs that are none."""
    # One of the two is enough, and etcd's client is no small thing to load.
    if not arguments.etcd_servers:
        from podium.store.sqlite import SqliteStore  # noqa: PLC0415

        return await SqliteStore.open(arguments.storage_path)
    try:
        from podium.store.etcd import EtcdStore, Tls  # noqa: PLC0415
    except ImportError as error:
        raise ValueError(f"--etcd-servers needs pip install 'podium[etcd]' ({error.name})") from None
    tls = Tls(
        ca_file=arguments.etcd_cafile,
        certificate_file=arguments.etcd_certfile,
        key_file=arguments.etcd_keyfile,
    )
    return await EtcdStore.open([url for url in arguments.etcd_servers.split(",") if url], tls=tls)
