"""kube-apiserver's flags of authentication: whose certificates, tokens and keys it believes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from podium.apiserver.authn import Options, keys
from podium.base import file_changes
from podium.cmd.durations import duration_s
from podium.cmd.signing_key import signing_key

if TYPE_CHECKING:
    from podium.apiserver.authn.oidc.config import Anonymous, JwtConfig
    from podium.apiserver.authn.oidc.service import JwtOptions
    from podium.apiserver.authn.webhook import WebhookOptions

ISSUER = "https://kubernetes.default.svc.cluster.local"
EXPIRATION_S_MIN, EXPIRATION_S_MAX = 3600, 1 << 32
_BOOL: dict[str, Any] = {"nargs": "?", "const": "true", "choices": ("true", "false")}
_OIDC = (
    "oidc_issuer_url",
    "oidc_client_id",
    "oidc_ca_file",
    "oidc_username_claim",
    "oidc_username_prefix",
    "oidc_groups_claim",
    "oidc_groups_prefix",
    "oidc_signing_algs",
    "oidc_required_claim",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What the flags ask for."""

    options: Options
    """But for the authorities of certificates, which are in `trust.py`."""
    anonymous: bool
    """Whether requests without credentials are taken."""


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--client-ca-file", default="", help="authorities of client certificates")
    add(
        "--service-account-key-file",
        action="append",
        default=[],
        help="keys that verify tokens; without any, nor one that signs, that of --tls-private-key-file",
    )
    add("--service-account-signing-key-file", default="", help="the key that signs tokens")
    add(
        "--service-account-issuer",
        action="append",
        default=[],
        help=f"who issues tokens; of several, the first one is named in new tokens; default {ISSUER}",
    )
    add("--service-account-jwks-uri", default="", help="where others find the keys that verify tokens")
    add(
        "--service-account-max-token-expiration",
        type=duration_s,
        default=0.0,
        help="the longest that a token may be asked for, between 1h and 2^32 seconds; 0: no limit",
    )
    add(
        "--service-account-extend-token-expiration",
        default="true",
        help="let tokens of pods live a year, for clients that never read a new one",
        **_BOOL,
    )
    add(
        "--service-account-lookup",
        default="true",
        help="take tokens of Secrets only as long as these exist",
        **_BOOL,
    )
    add("--api-audiences", default="", help="audiences of tokens meant for this server, comma-separated")
    add("--anonymous-auth", default="", choices=("true", "false"), help="take requests without credentials")
    add("--token-auth-file", default="", help="CSV of static tokens")
    add(
        "--enable-bootstrap-token-auth",
        default="false",
        help="let the bootstrap tokens in kube-system authenticate",
        **_BOOL,
    )
    add(
        "--experimental-bootstrap-token-auth",
        default="",
        help="deprecated: what --enable-bootstrap-token-auth was called",
        **_BOOL,
    )
    add(
        "--authentication-config",
        default="",
        help="file that configures issuers of tokens and anonymous requests; read again when it changes",
    )
    add(
        "--authentication-token-webhook-config-file",
        default="",
        help="kubeconfig of a server that is asked about tokens nobody else knows",
    )
    add(
        "--authentication-token-webhook-version",
        default="v1beta1",
        help="version of the TokenReviews sent to it: v1 or v1beta1",
    )
    add(
        "--authentication-token-webhook-cache-ttl",
        type=duration_s,
        default=120.0,
        help="how long its answers are kept",
    )
    add("--oidc-issuer-url", default=None, help="an OpenID issuer whose tokens are taken")
    add("--oidc-client-id", default=None, help="the audience of its tokens")
    add("--oidc-ca-file", default=None, help="authorities of its certificate; default: the system's")
    add("--oidc-username-claim", default=None, help="the claim that names the user; default sub")
    add(
        "--oidc-username-prefix",
        default=None,
        help="what is put before user names; default: the issuer and #, but for email; -: nothing",
    )
    add("--oidc-groups-claim", default=None, help="the claim with the user's groups, a string or several")
    add("--oidc-groups-prefix", default=None, help="what is put before groups")
    add("--oidc-signing-algs", default=None, help="algorithms that tokens may be signed with; default RS256")
    add(
        "--oidc-required-claim",
        action="append",
        default=None,
        metavar="CLAIM=VALUE",
        help="a claim that tokens must have with this value",
    )


def authentication(
    made: argparse.ArgumentParser, arguments: argparse.Namespace, *, version: str
) -> Authentication:
    """Return what the flags ask for; ends the program with a message when they make no sense.

    `version` is that of Kubernetes.
    """
    if wrong := _wrong(arguments):
        made.error(wrong)
    if arguments.experimental_bootstrap_token_auth:
        print(
            "kube-apiserver: --experimental-bootstrap-token-auth is deprecated: "
            "use --enable-bootstrap-token-auth",
            file=sys.stderr,
        )
        arguments.enable_bootstrap_token_auth = arguments.experimental_bootstrap_token_auth
    try:
        jwt = _jwt_options(arguments, version)
        told = jwt.anonymous if jwt is not None else None
        if told is not None and arguments.anonymous_auth:
            raise ValueError(
                "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is "
                "configured in authentication configuration file"
            )
        return Authentication(
            options=_options(arguments, jwt, told),
            anonymous=told.enabled if told is not None else arguments.anonymous_auth != "false",
        )
    except (OSError, ValueError) as error:
        made.error(str(error))


def _options(arguments: argparse.Namespace, jwt: JwtOptions | None, anonymous: Anonymous | None) -> Options:
    tokens = arguments.token_auth_file
    issuer, *others = arguments.service_account_issuer or [ISSUER]
    signing_file = arguments.service_account_signing_key_file
    key_files = arguments.service_account_key_file
    if not key_files and not signing_file and arguments.tls_private_key_file:
        # As it once was: the controller manager signs with the key that the server serves with.
        key_files = [arguments.tls_private_key_file]
    stamp = file_changes.stamp([*key_files, *([signing_file] if signing_file else ())])
    signing = signing_key(arguments)
    if signing is not None and signing_file:
        try:
            keys.check(signing)
        except ValueError as error:
            raise ValueError(f"failed to parse service-account-issuer-key-file: {error}") from None
    return Options(
        issuer=issuer,
        other_issuers=others,
        service_account_keys=[_keys(path) for path in key_files],
        signing_key=signing,
        key_files=key_files,
        signing_key_file=signing_file,
        keys_stamp=stamp,
        jwks_uri=arguments.service_account_jwks_uri,
        token_expiration_s_max=int(arguments.service_account_max_token_expiration),
        extend_token_expiration=arguments.service_account_extend_token_expiration == "true",
        service_account_lookup=arguments.service_account_lookup == "true",
        audiences=_names(arguments.api_audiences),
        token_file=Path(tokens).read_text().splitlines() if tokens else None,
        bootstrap_tokens=arguments.enable_bootstrap_token_auth == "true",
        jwt=jwt,
        webhook=_webhook(arguments),
        anonymous_paths=anonymous.paths if anonymous is not None else (),
    )


def _webhook(arguments: argparse.Namespace) -> WebhookOptions | None:
    """Return how the token webhook is asked, None where there is none. Raises ValueError."""
    path, version = (
        arguments.authentication_token_webhook_config_file,
        arguments.authentication_token_webhook_version,
    )
    if not path:
        return None
    from podium.apiserver.authn.webhook import VERSIONS, WebhookOptions  # noqa: PLC0415
    from podium.client import kubeconfig  # noqa: PLC0415

    if version not in VERSIONS:
        supported = ", ".join(f'"{one}"' for one in VERSIONS)
        raise ValueError(
            f'unsupported authentication webhook version "{version}", supported versions are {supported}'
        )
    try:
        connection = kubeconfig.load(path)
        connection.ssl_context()
    except kubeconfig.KubeconfigError as error:
        raise ValueError(f"--authentication-token-webhook-config-file: {error}") from None
    ttl_s = arguments.authentication_token_webhook_cache_ttl
    return WebhookOptions(connection=connection, version=version, cache_ttl_s=ttl_s)


def _wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is."""
    oidc = any(getattr(arguments, name) is not None for name in _OIDC)
    if arguments.authentication_config and oidc:
        return "authentication-config file and oidc-* flags are mutually exclusive"
    if oidc and not (arguments.oidc_issuer_url and arguments.oidc_client_id):
        return "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"
    issuers = arguments.service_account_issuer
    for at, issuer in enumerate(issuers):
        if not issuer:
            return "service-account-issuer should not be an empty string"
        if issuer in issuers[:at]:
            return f'service-account-issuer "{issuer}" is already specified'
        try:
            urlsplit(issuer)
        except ValueError as error:
            return f"service-account-issuer \"{issuer}\" contained a ':' but was not a valid URL: {error}"
    return _wrong_service_accounts(arguments)


def _wrong_service_accounts(arguments: argparse.Namespace) -> str:
    longest = arguments.service_account_max_token_expiration
    if longest and not EXPIRATION_S_MIN <= longest <= EXPIRATION_S_MAX:
        return "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds"
    uri = arguments.service_account_jwks_uri
    try:
        if uri and urlsplit(uri).scheme != "https":
            return f"service-account-jwks-uri requires https scheme, parsed as: {uri}"
    except ValueError as error:
        return f"service-account-jwks-uri must be a valid URL: {error}"
    return ""


def _keys(path: str) -> bytes:
    """Return a file of keys. Raises ValueError for one that cannot be."""
    data = Path(path).read_bytes()
    try:
        keys.check(data)
    except ValueError as error:
        raise ValueError(f"error reading public key file {path}: {error}") from None
    return data


def _jwt_options(arguments: argparse.Namespace, version: str) -> JwtOptions | None:
    """Return what is said of other issuers, None when nothing is. Raises ValueError, OSError."""
    if not arguments.authentication_config and not arguments.oidc_issuer_url:
        return None
    # Compiles expressions and fetches keys; most servers have no use for it.
    from podium.apiserver.authn.oidc import service  # noqa: PLC0415
    from podium.apiserver.authn.oidc.config import AuthenticationConfiguration  # noqa: PLC0415
    from podium.apiserver.authn.oidc.validation import aggregate, validate  # noqa: PLC0415

    disallowed = arguments.service_account_issuer or [ISSUER]
    path = arguments.authentication_config
    if not path:
        configuration = AuthenticationConfiguration(jwt=(_flagged(arguments),))
        issuers, errors = validate(configuration, disallowed_issuers=disallowed, version=version)
        if errors:
            raise ValueError(f"invalid authentication configuration: {aggregate(errors)}")
        algorithms = _algorithms(arguments)
        return service.JwtOptions(
            issuers=issuers, algorithms=algorithms, version=version, disallowed_issuers=disallowed
        )
    stamp = file_changes.stamp([path])
    try:
        data = Path(path).read_bytes()
        issuers, anonymous = service.read(data, version=version, disallowed_issuers=disallowed)
    except service.Rejected as error:
        raise ValueError(f"invalid authentication configuration: {error}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f'failed to load authentication configuration from file "{path}": {error}') from None
    return service.JwtOptions(
        issuers=issuers,
        version=version,
        disallowed_issuers=disallowed,
        path=path,
        data=data,
        stamp=stamp,
        anonymous=anonymous,
    )


def _flagged(arguments: argparse.Namespace) -> JwtConfig:
    """Return the issuer that the flags describe."""
    from podium.apiserver.authn.oidc.config import (  # noqa: PLC0415
        ClaimMappings,
        ClaimOrExpression,
        ClaimValidationRule,
        Issuer,
        JwtConfig,
    )

    issuer, claim = arguments.oidc_issuer_url, arguments.oidc_username_claim or "sub"
    prefix = arguments.oidc_username_prefix or ""
    if not prefix and claim != "email":
        prefix = f"{issuer}#"
    groups = ClaimOrExpression()
    if arguments.oidc_groups_claim:
        groups = ClaimOrExpression(
            claim=arguments.oidc_groups_claim, prefix=arguments.oidc_groups_prefix or ""
        )
    authority = arguments.oidc_ca_file
    return JwtConfig(
        issuer=Issuer(
            url=issuer,
            audiences=(arguments.oidc_client_id,),
            certificate_authority=Path(authority).read_text() if authority else "",
        ),
        claim_mappings=ClaimMappings(
            username=ClaimOrExpression(claim=claim, prefix="" if prefix == "-" else prefix), groups=groups
        ),
        claim_validation_rules=tuple(
            ClaimValidationRule(claim=name, required_value=value)
            for name, value in _pairs(arguments.oidc_required_claim or ()).items()
        ),
    )


def _algorithms(arguments: argparse.Namespace) -> list[str]:
    from podium.apiserver.authn.oidc.config import SIGNING_ALGORITHMS  # noqa: PLC0415

    algorithms = _names(arguments.oidc_signing_algs or "RS256")
    for algorithm in algorithms:
        if algorithm not in SIGNING_ALGORITHMS:
            raise ValueError(f'oidc: unsupported signing alg: "{algorithm}"')
    return algorithms


def _pairs(texts: list[str] | tuple[str, ...]) -> Mapping[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--oidc-required-claim: malformed pair, expect string=string: {text}")
        pairs[name.strip()] = value.strip()
    return pairs


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
