"""How `podium up` shows its progress: live lines on a terminal, plain ones in a pipe.

The cluster starts in a background process, which tells its steps as JSON lines through a pipe; `Reporter`
writes them there, `follow` reads and renders them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO

_WIDTH = 28


class Reporter:
    """Tells each step's beginning and end to whoever watches the cluster start."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink: BinaryIO | None = sink

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step. A step that raises is left open; `failed` says why."""
        started = time.monotonic()
        self._send({"event": "begin", "name": name})
        yield
        self._send({"event": "end", "name": name, "seconds": time.monotonic() - started})

    def failed(self, message: str) -> None:
        self._send({"event": "failed", "message": message})
        self._close()

    def ready(self, lines: list[str]) -> None:
        """Everything runs; `lines` tell the user what and where."""
        self._send({"event": "ready", "lines": lines})
        self._close()

    def _send(self, event: dict[str, Any]) -> None:
        if self._sink is None:
            return
        try:
            self._sink.write(json.dumps(event).encode() + b"\n")
            self._sink.flush()
        except BrokenPipeError:
            # Nobody watches any more; the cluster goes on.
            self._sink = None

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None


def follow(source: BinaryIO, *, output: TextIO | None = None) -> bool:
    """Render events until the cluster is ready (True) or has failed to become so (False)."""
    view = _View(output or sys.stdout)
    for line in source:
        event = json.loads(line)
        match event["event"]:
            case "begin":
                view.begin(event["name"])
            case "end":
                view.end(event["name"], event["seconds"])
            case "failed":
                view.failed(event["message"])
                return False
            case "ready":
                view.ready(event["lines"])
                return True
    view.failed("the cluster's process ended while starting; see its log")
    return False


class _View:
    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._live = output.isatty()
        self._open: list[str] = []
        self._started = time.monotonic()

    def begin(self, name: str) -> None:
        self._open.append(name)
        self._redraw()

    def end(self, name: str, seconds: float) -> None:
        self._open.remove(name)
        mark = "\033[32m✓\033[0m" if self._live else "ok"
        self._line(f"  {mark} {name:<{_WIDTH}} {seconds:6.2f} s")
        self._redraw()

    def failed(self, message: str) -> None:
        self._erase()
        print(f"podium: {message}", file=sys.stderr)

    def ready(self, lines: list[str]) -> None:
        self._line(f"  ready after {time.monotonic() - self._started:.2f} s")
        for line in lines:
            self._line(line)

    def _line(self, text: str) -> None:
        self._erase()
        print(text, file=self._output, flush=True)

    def _redraw(self) -> None:
        if self._live and self._open:
            self._erase()
            print(f"  … {', '.join(self._open)}", end="", file=self._output, flush=True)

    def _erase(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=self._output)
