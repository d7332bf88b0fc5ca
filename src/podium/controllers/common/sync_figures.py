"""How the publishers of certificates count their syncs: by the status code that came of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from podium.base.clock import Clock
from podium.base.metrics import Counter, Family, Histogram
from podium.machinery.errors import ApiError


@contextmanager
def counted(clock: Clock, syncs: Family[Counter], seconds: Family[Histogram]) -> Iterator[None]:
    """Count what the body does as one sync; what it raises passes through."""
    began_s, code = clock.monotonic_s(), "500"
    try:
        yield
        code = "200"
    except ApiError as error:
        code = str(error.code)
        raise
    finally:
        syncs.labels(code).inc()
        seconds.labels(code).observe(clock.monotonic_s() - began_s)
