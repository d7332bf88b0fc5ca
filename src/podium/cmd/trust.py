"""The authorities that kube-apiserver believes client certificates of, read from files, and anew."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from podium.apiserver.authn.issued import Bundle
from podium.apiserver.authn.request_header import RequestHeaderOptions
from podium.cmd.aggregation_flags import front_proxies, request_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Those of clients, and those of front proxies."""

    client_ca_file: str
    client_ca: Bundle
    request_header_file: str
    request_header: RequestHeaderOptions | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Trust:
        """Read what the flags name. Raises `OSError`."""
        trust = cls(
            client_ca_file=arguments.client_ca_file,
            client_ca=Bundle(),
            request_header_file=arguments.requestheader_client_ca_file,
            request_header=request_header(arguments),
        )
        trust.read()
        return trust

    def read(self) -> None:
        """Read the files again."""
        if self.client_ca_file:
            self.client_ca.pem = Path(self.client_ca_file).read_bytes()
        if self.request_header is not None:
            self.request_header.client_ca.pem = Path(self.request_header_file).read_bytes()

    def published(self) -> tuple[str, dict[str, str]]:
        """Return what extension servers are told: authorities of clients, and entries about front proxies."""
        return self.client_ca.pem.decode(), front_proxies(self.request_header)
