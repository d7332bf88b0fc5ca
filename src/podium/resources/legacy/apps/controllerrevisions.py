"""ControllerRevision: apps/v1beta1 and apps/v1beta2."""

from __future__ import annotations

from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.legacy import packages
from podium.resources.legacy.older import older

V1BETA1 = older(CONTROLLERREVISIONS, packages.V1BETA1, deprecated=(1, 8), removed=(1, 16))
V1BETA2 = older(CONTROLLERREVISIONS, packages.V1BETA2, deprecated=(1, 9), removed=(1, 16))
