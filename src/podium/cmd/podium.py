"""`podium`: clusters on this machine, and images for them."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from podium.cmd import audit, layout
from podium.cmd.layout import Cluster, LayoutError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    rest: list[str] = []
    if words[:1] == ["kubectl"]:
        # Everything else is kubectl's, its `--` and --help included.
        own = 1 if not words[1:] or not words[1].startswith("--state-dir") else 2 if "=" in words[1] else 3
        words, rest = words[:own], words[own:]
    arguments = parser().parse_args(words)
    arguments.rest = rest
    try:
        code: int = arguments.run(arguments)
    except LayoutError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    return code


def _complain(message: str) -> int:
    print(f"podium: {message}", file=sys.stderr)
    return 1


# ------------------------------------------------------------------------------------- arguments


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="podium", description="Kubernetes in Python.", allow_abbrev=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    up = _command(commands, "up", _up, "start a cluster, or wake a stopped one")
    up.add_argument("--name", help="the cluster's name (default: podium, or the state directory's name)")
    up.add_argument("--port", type=_port, help="the API server's port (default: 6443)")
    up.add_argument("--nodes", type=_count, metavar="N", help="real nodes (default: 1, or 0 with --simulate)")
    up.add_argument(
        "--simulate", type=_count, metavar="N", default=0, help="nodes that run no containers (default: 0)"
    )
    up.add_argument(
        "--runtime-config",
        metavar="KEY=BOOL,...",
        default="",
        help="APIs to serve or not, as kube-apiserver's flag; api/legacy=true: what upstream has removed",
    )
    up.add_argument("--fresh", action="store_true", help="start empty: delete the state directory's content")
    up.add_argument("--foreground", action="store_true", help="stay; stop the cluster on Ctrl-C")
    up.add_argument(
        "--kubeconfig", type=Path, metavar="PATH", help="also merge the cluster's context into this file"
    )

    _command(commands, "down", _down, "stop the cluster; its data stays")
    status = _command(commands, "status", _status, "show what runs")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    kubeconfig = _command(commands, "kubeconfig", _kubeconfig, "print the administrator's kubeconfig")
    kubeconfig.add_argument("--path", action="store_true", help="print where it is, instead")
    kubeconfig.add_argument(
        "--merge",
        nargs="?",
        type=Path,
        const=Path("~/.kube/config"),
        metavar="PATH",
        help="merge it into this file (default: ~/.kube/config), instead",
    )
    checked = _command(commands, "audit", audit.run, "report what in a cluster or in manifests is not safe")
    audit.add_flags(checked)
    kubectl = _command(commands, "kubectl", _kubectl, "run kubectl with this cluster's kubeconfig")
    kubectl.usage = "podium kubectl [--state-dir DIR] ARGUMENT..."

    image = commands.add_parser("image", help="make images, and put them on the nodes")
    image_commands = image.add_subparsers(required=True, metavar="COMMAND")
    build = image_commands.add_parser("build", help="make an OCI image from a recipe or a directory")
    build.set_defaults(run=_image_build)
    build.add_argument("source", type=Path, help="a recipe (TOML), or a directory that becomes the image's /")
    build.add_argument("-t", "--tag", help="the image's name (default: the recipe's)")
    build.add_argument("-o", "--output", type=Path, help="the archive to write (default: NAME.tar)")
    build.add_argument("--entrypoint", nargs="+", default=[], metavar="WORD", help="for a directory")
    load = image_commands.add_parser("load", help="put an image archive on every node of the cluster")
    load.set_defaults(run=_image_load)
    _add_state_dir(load)
    load.add_argument("archive", type=Path, nargs="+", help="an OCI or Docker image archive")

    version = commands.add_parser("version", help="print Podium's version")
    version.set_defaults(run=_version)
    return made


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: object,
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    _add_state_dir(parser)
    return parser


def _add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=lambda text: Path(text).expanduser().absolute(),
        default=layout.default_state_dir(),
        metavar="DIR",
        help="where the cluster lives (default: %(default)s)",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 < value < 65536:
        raise argparse.ArgumentTypeError("must be between 1 and 65535")
    return value


def _existing(arguments: argparse.Namespace) -> Cluster:
    cluster = layout.load(arguments.state_dir)
    if cluster is None:
        raise LayoutError(f"there is no cluster in {arguments.state_dir}; `podium up` makes one")
    return cluster


# ---------------------------------------------------------------------------------------- clusters


def _up(arguments: argparse.Namespace) -> int:
    from podium.cmd import down, kubeconfig, preflight, running, up  # noqa: PLC0415

    nodes = arguments.nodes if arguments.nodes is not None else int(not arguments.simulate)
    if nodes and (reason := preflight.why_no_real_nodes()):
        return _complain(
            f"{reason}; `podium up --simulate 3` runs the same control plane with simulated nodes"
        )
    known = layout.load(arguments.state_dir)
    if known is not None and running.supervisor_pid(known) is not None:
        if not arguments.fresh:
            print("\n".join(["the cluster is already running", *up.summary(known)]))
            return 0
        down.down(known)
    cluster = layout.prepare(
        arguments.state_dir,
        name=arguments.name,
        port=arguments.port,
        nodes=nodes,
        simulated_nodes=arguments.simulate,
        runtime_config=arguments.runtime_config,
    )
    if arguments.fresh:
        asyncio.run(down.erase(cluster))
    print(f'Starting cluster "{cluster.name}"', flush=True)
    prepared = time.monotonic()
    up.prepare(cluster)
    print(f"  {'certificates and directories':<31} {time.monotonic() - prepared:6.2f} s", flush=True)
    if arguments.kubeconfig is not None:
        kubeconfig.merge(cluster.kubeconfig, arguments.kubeconfig.expanduser())
    return 0 if up.up(cluster, foreground=arguments.foreground) else 1


def _down(arguments: argparse.Namespace) -> int:
    from podium.cmd import down  # noqa: PLC0415

    cluster = _existing(arguments)
    was_running = down.down(cluster)
    print(f'Cluster "{cluster.name}" {"is stopped" if was_running else "was not running"}; its data is kept')
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from podium.cmd import running  # noqa: PLC0415

    cluster = _existing(arguments)
    record = running.status(cluster)
    if arguments.output == "json":
        print(json.dumps({"name": cluster.name, "running": record is not None, **(record or {})}, indent=2))
    elif record is None:
        print(f'Cluster "{cluster.name}" in {cluster.state_dir} is not running')
    else:
        print(f'Cluster "{cluster.name}" runs at {cluster.server_url}; its state is in {cluster.state_dir}')
        print("\n".join(running.table(record)))
    return 0 if record is not None else 3


def _kubeconfig(arguments: argparse.Namespace) -> int:
    from podium.cmd import kubeconfig  # noqa: PLC0415

    cluster = _existing(arguments)
    if not cluster.kubeconfig.exists():
        return _complain(f"{cluster.kubeconfig} does not exist; `podium up` makes it")
    if arguments.merge is not None:
        target = arguments.merge.expanduser()
        kubeconfig.merge(cluster.kubeconfig, target)
        print(f"context {cluster.context} is now in {target}")
    elif arguments.path:
        print(cluster.kubeconfig)
    else:
        print(kubeconfig.as_yaml(cluster.kubeconfig), end="")
    return 0


def _kubectl(arguments: argparse.Namespace) -> int:  # noqa: RET503 (execv does not return)
    from podium.cmd import kubeconfig  # noqa: PLC0415

    cluster = _existing(arguments)
    program = kubeconfig.find_kubectl()
    if program is None:
        return _complain("there is no kubectl on PATH; `pip install 'podium[kubectl]'` brings one")
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
    os.execv(program, [program, *arguments.rest])


def _version(_arguments: argparse.Namespace) -> int:
    from importlib.metadata import version  # noqa: PLC0415

    print(version("podium"))
    return 0


# ------------------------------------------------------------------------------------------ images


def _image_build(arguments: argparse.Namespace) -> int:
    from podium.imageregistry import oci, recipe  # noqa: PLC0415

    source: Path = arguments.source
    try:
        if source.is_dir():
            if not arguments.tag:
                return _complain("an image from a directory needs a name: --tag NAME")
            config = oci.Config(entrypoint=arguments.entrypoint)
            followed = recipe.Recipe(name=arguments.tag, files=oci.files_below(source), config=config)
        else:
            followed = recipe.read(source)
    except (recipe.RecipeError, OSError) as error:
        return _complain(str(error))
    name = arguments.tag or followed.name
    output: Path = arguments.output or Path(name.rpartition("/")[2].replace(":", "-") + ".tar")
    output.parent.mkdir(parents=True, exist_ok=True)
    archive = oci.image_archive(name, followed.files, followed.config)
    output.write_bytes(archive)
    print(f"{oci.canonical_name(name)} is in {output} ({len(archive) / 1024:.0f} KiB)")
    return 0


def _image_load(arguments: argparse.Namespace) -> int:
    from podium.imageregistry import containerd  # noqa: PLC0415

    cluster = _existing(arguments)
    if not cluster.nodes:
        return _complain(f'cluster "{cluster.name}" has no real node to load an image on')
    for archive in arguments.archive:
        for index in cluster.node_indexes:
            try:
                asyncio.run(containerd.import_archive(cluster.containerd_socket(index), archive))
            except (containerd.ImportFailed, OSError) as error:
                return _complain(f"{archive} on {cluster.node_name(index)}: {error}")
            print(f"{archive} is on {cluster.node_name(index)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
