"""Whether a container is one program: only then does the cluster know whether it works."""

from __future__ import annotations

import re
from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import Container, texts, workload_of
from podium.machinery.errors import Object

SEVERAL = Rule(
    id="several-processes",
    severity=Severity.LOW,
    title="A container runs several programs",
    why="When one of them ends, nobody restarts it, and logs, signals and limits are those of all together.",
    fix="Give each program a container of its own: a further one in the pod, or a sidecar.",
)

_SUPERVISORS = frozenset(
    {
        *("supervisord", "s6-svscan", "s6-overlay-suexec", "runsvdir", "runit", "monit", "circusd", "pm2"),
        *("pm2-runtime", "foreman", "honcho", "overmind", "forego", "systemd"),
    }
)
_INITS = frozenset({"/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/init"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh", "busybox"})
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_BACKGROUND = re.compile(r"(?<![&><|\\])&(?![&>])")
"""An `&` that sends a command to the background: none of `&&`, `2>&1`, `&>`, `|&`."""
_WORDS = re.compile(r"[^\s;|&()]+")


def _check(obj: Object, _context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    for container in workload.containers():
        for field, why in _several(container):
            yield Problem(SEVERAL, (*container.path, field), f"container {container.name} {why}")


def _several(container: Container) -> Iterator[tuple[str, str]]:
    command, arguments = texts(container.spec.get("command")), texts(container.spec.get("args"))
    words = [*command, *arguments]
    if not words:
        return
    # The shell's script may stand in either.
    for field, given in (("command", command), ("args", arguments)):
        if any(one in _INITS or _base(one) in _SUPERVISORS for one in given[:1] or ()):
            yield field, f"runs {given[0]}, which starts others"
            return
    if _base(words[0]) in _SHELLS:
        for field, given in (("command", command), ("args", arguments)):
            for script in given:
                if why := _in_script(script):
                    yield field, why
                    return


def _in_script(script: str) -> str:
    """Return why a shell's script starts several programs; "" where it does not."""
    bare = _QUOTED.sub("''", script)
    bare = re.sub(r"(^|\s)#.*", " ", bare)
    if _BACKGROUND.search(bare):
        return "starts a program in the background of another"
    for word in _WORDS.findall(bare):
        if word in _INITS or _base(word) in _SUPERVISORS:
            return f"runs {word}, which starts others"
    return ""


def _base(word: str) -> str:
    return word.rpartition("/")[2]


PROCESSES = Family(name="Processes", rules=(SEVERAL,), check=_check)
