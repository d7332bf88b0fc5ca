"""NetworkPolicy, extensions/v1beta1."""

from __future__ import annotations

from podium.resources.legacy.older import older
from podium.resources.legacy.packages import EXTENSIONS as PACKAGE
from podium.resources.networking.networkpolicies import NETWORKPOLICIES

EXTENSIONS = older(NETWORKPOLICIES, PACKAGE, deprecated=(1, 9), removed=(1, 16))
