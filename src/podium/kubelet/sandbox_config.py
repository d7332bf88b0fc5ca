"""From a pod to its sandbox: names, DNS, namespaces, cgroup. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.kubelet.cri.runtime import (
    DnsConfig,
    Namespaces,
    PortMapping,
    SandboxConfig,
    SeccompProfile,
)
from podium.kubelet.pods import all_containers, containers, host_network, pod_uid
from podium.machinery.errors import Object

LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER_NAME = "io.kubernetes.container.name"
ANNOTATION_GRACE = "io.kubernetes.pod.terminationGracePeriod"

HOSTNAME_BYTES_MAX = 63
SEARCH_PATHS_MAX = 32
NAMESERVERS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDns:
    """What the node's own resolv.conf says."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What the kubelet was told about its cluster and node."""

    node_name: str
    cluster_domain: str = "cluster.local"
    cluster_dns: tuple[str, ...] = ()
    host_dns: HostDns = HostDns()
    host_ips: tuple[str, ...] = ()
    cgroup_root: str = "podium"
    memory_bytes: int = 0


def parse_resolv_conf(text: str) -> HostDns:
    """Return what a resolv.conf says; the last `search` line counts, as for the resolver."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options = tuple(words[1:])
    return HostDns(servers=tuple(servers), searches=searches, options=options)


def dns_config(pod: Object, settings: ClusterSettings) -> DnsConfig:
    """Return the pod's resolv.conf: by its dnsPolicy, with its dnsConfig laid over it."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and host_network(pod):
        policy = "Default"
    host = settings.host_dns
    servers, searches, options = list(host.servers), list(host.searches), list(host.options)
    if policy == "None":
        servers, searches, options = [], [], []
    elif policy in ("ClusterFirst", "ClusterFirstWithHostNet") and settings.cluster_dns:
        domain, namespace = settings.cluster_domain, pod["metadata"]["namespace"]
        servers = list(settings.cluster_dns)
        searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *host.searches]
        options = ["ndots:5"]
    extra = spec.get("dnsConfig") or {}
    servers += [server for server in extra.get("nameservers") or () if server not in servers]
    searches += [search for search in extra.get("searches") or () if search not in searches]
    options = _merged_options(options, extra.get("options") or ())
    return DnsConfig(
        servers=tuple(servers[:NAMESERVERS_MAX]),
        searches=tuple(dict.fromkeys(searches))[:SEARCH_PATHS_MAX],
        options=tuple(options),
    )


def _merged_options(base: Sequence[str], extra: Iterable[Object]) -> list[str]:
    merged = {option.partition(":")[0]: option for option in base}
    for option in extra:
        name, value = option["name"], option.get("value")
        merged[name] = f"{name}:{value}" if value else name
    return list(merged.values())


def hostname(pod: Object, settings: ClusterSettings) -> str:
    """Return the name that the pod's containers see as their host's."""
    if host_network(pod):
        return settings.node_name
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    name = name[:HOSTNAME_BYTES_MAX].rstrip("-.")
    if pod["spec"].get("setHostnameAsFQDN") and (domain := host_domain(pod, settings)):
        return f"{name}.{domain}"
    return name


def host_domain(pod: Object, settings: ClusterSettings) -> str:
    """Return the pod's domain below its headless service, empty without a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain:
        return ""
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{settings.cluster_domain}"


def hosts_file(pod: Object, settings: ClusterSettings, pod_ips: Sequence[str], *, node_hosts: str) -> str:
    """Return the text of the pod's /etc/hosts. `node_hosts` is the node's own, for the host's network."""
    if host_network(pod):
        text = "# Kubernetes-managed hosts file (host network).\n" + node_hosts
    else:
        name, domain = hostname(pod, settings).partition(".")[0], host_domain(pod, settings)
        text = (
            "# Kubernetes-managed hosts file.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\n"
            "fe00::2\tip6-allrouters\n"
        )
        for ip in pod_ips:
            text += f"{ip}\t{name}.{domain}\t{name}\n" if domain else f"{ip}\t{name}\n"
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        for alias in aliases:
            text += "\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n"
    return text


def namespaces(pod: Object) -> Namespaces:
    spec = pod["spec"]
    pid = "NODE" if spec.get("hostPID") else "POD" if spec.get("shareProcessNamespace") else "CONTAINER"
    return Namespaces(
        network="NODE" if host_network(pod) else "POD",
        pid=pid,  # type: ignore[arg-type]
        ipc="NODE" if spec.get("hostIPC") else "POD",
    )


def seccomp_profile(profile: Object | None) -> SeccompProfile:
    if not profile:
        return SeccompProfile(type="Unconfined")
    return SeccompProfile(type=profile["type"], localhost_ref=str(profile.get("localhostProfile") or ""))


def pod_labels(pod: Object) -> dict[str, str]:
    """Return the labels by which the runtime's objects are known to belong to the pod."""
    meta = pod["metadata"]
    return {
        LABEL_POD_NAME: meta["name"],
        LABEL_POD_NAMESPACE: meta["namespace"],
        LABEL_POD_UID: pod_uid(pod),
    }


def supplemental_groups(pod: Object) -> tuple[int, ...]:
    context = pod["spec"].get("securityContext") or {}
    groups = [int(group) for group in context.get("supplementalGroups") or ()]
    if context.get("fsGroup") is not None:
        groups.append(int(context["fsGroup"]))
    return tuple(dict.fromkeys(groups))


def sandbox_config(
    pod: Object, settings: ClusterSettings, *, attempt: int, log_directory: str, cgroup_parent: str
) -> SandboxConfig:
    """Return what the pod's sandbox is made from."""
    meta, spec = pod["metadata"], pod["spec"]
    context = spec.get("securityContext") or {}
    grace = spec.get("terminationGracePeriodSeconds")
    mappings = tuple(
        PortMapping(
            protocol=str(port.get("protocol") or "TCP"),
            container_port=int(port["containerPort"]),
            host_port=int(port["hostPort"]),
            host_ip=str(port.get("hostIP") or ""),
        )
        for container in containers(pod)
        for port in container.get("ports") or ()
        if port.get("hostPort") and not host_network(pod)
    )
    privileged = any(
        (container.get("securityContext") or {}).get("privileged") for container in all_containers(pod)
    )
    return SandboxConfig(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=pod_uid(pod),
        attempt=attempt,
        # On the host's network the runtime takes the host's name by itself.
        hostname="" if host_network(pod) else hostname(pod, settings),
        log_directory=log_directory,
        dns=dns_config(pod, settings),
        port_mappings=mappings,
        labels={**(meta.get("labels") or {}), **pod_labels(pod)},
        annotations={
            **(meta.get("annotations") or {}),
            ANNOTATION_GRACE: str(30 if grace is None else grace),
        },
        cgroup_parent=cgroup_parent,
        sysctls={entry["name"]: str(entry["value"]) for entry in context.get("sysctls") or ()},
        namespaces=namespaces(pod),
        privileged=privileged,
        run_as_user=context.get("runAsUser"),
        # CRI takes a group only together with a user.
        run_as_group=context.get("runAsGroup") if context.get("runAsUser") is not None else None,
        supplemental_groups=supplemental_groups(pod),
        # The sandbox's own process needs nothing, whatever its containers may do.
        seccomp=SeccompProfile(type="RuntimeDefault"),
    )
