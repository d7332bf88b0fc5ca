"""Fields of claims for devices, and of templates of claims, that need a feature gate."""

from __future__ import annotations

from podium.machinery.gated import Gated


def claim_fields(spec: str) -> tuple[Gated, ...]:
    """Return the gated fields of the claim spec at the path `spec`."""
    requests = f"{spec}.devices.requests[]"
    exactly, alternatives = f"{requests}.exactly", f"{requests}.firstAvailable[]"
    return (
        Gated(gate="DRADeviceTaints", paths=(f"{exactly}.tolerations", f"{alternatives}.tolerations")),
        Gated(gate="DRAPrioritizedList", paths=(f"{requests}.firstAvailable",)),
        Gated(gate="DRAAdminAccess", paths=(f"{exactly}.adminAccess",)),
        Gated(
            gate="DRAConsumableCapacity",
            paths=(
                f"{spec}.devices.constraints[].distinctAttribute",
                f"{exactly}.capacity",
                f"{alternatives}.capacity",
            ),
        ),
    )


_RESULTS = "status.allocation.devices.results[]"

CLAIM_FIELDS = (
    *claim_fields("spec"),
    Gated(gate="DRAResourceClaimDeviceStatus", paths=("status.devices",)),
    Gated(gate="DRAAdminAccess", paths=(f"{_RESULTS}.adminAccess",)),
    Gated(
        gate="DRAConsumableCapacity",
        paths=(f"{_RESULTS}.shareID", f"{_RESULTS}.consumedCapacity", "status.devices[].shareID"),
    ),
    Gated(
        gate="DRADeviceBindingConditions",
        paths=(f"{_RESULTS}.bindingConditions", f"{_RESULTS}.bindingFailureConditions"),
    ),
)
