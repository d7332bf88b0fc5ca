"""Secret, v1."""

from __future__ import annotations

import base64

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import blank, drop_zero
from podium.resources.printing import AGE, NAME, column
from podium.resources.selecting import fields


def _defaults(secret: Object) -> None:
    plain = secret.pop("stringData", None)
    if plain:
        data = dict(secret.get("data") or {})
        for key, text in plain.items():
            data[key] = base64.b64encode(str(text).encode()).decode()
        secret["data"] = data
    blank(secret, "type", "Opaque")
    drop_zero(secret, "data")


SECRETS = Resource(
    version="v1",
    kind="Secret",
    plural="secrets",
    namespaced=True,
    schema="io.k8s.api.core.v1.Secret",
    metadata_again=1,
    defaults=_defaults,
    columns=(
        NAME,
        column("Type", lambda obj: obj.get("type") or ""),
        column("Data", lambda obj: len(obj.get("data") or ())),
        AGE,
    ),
    selectable=fields("type"),
    warnings=deferred.warnings("core.warnings", "secret_warnings"),
    validate=deferred.check("core.config_validation", "validate_secret"),
    validate_update=deferred.update_check("core.config_validation", "validate_secret_update"),
)
