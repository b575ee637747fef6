"""Where the service is, the credentials, and the bounds of a call: checked before the first call."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.generations import DEFAULT_GENERATION, GENERATIONS, in_words
from airflow_provider_workflows.api.redaction import PersonalFields
from airflow_provider_workflows.api.status import Statuses

#: The most connections that a client keeps open.
POOL_SIZE = 32
DEFAULT_HOST = "https://api.transactionlink.io"
#: All personal numbers can be hashed in minutes, so the secret must not be one that can be guessed.
MIN_HASH_SECRET_CHARACTERS = 32
#: The service's public keys are fetched again after this many seconds at the latest.
MAX_WEBHOOK_KEY_SECONDS = 3600.0
#: What is wrong with a ``dashboard_url`` at which people would get JSON that says 401.
DASHBOARD_IS_API = (
    "dashboard_url leads to the API itself, which shows people nothing, so no link is made of it: give the address "
    "of the dashboard's page"
)
ORGANIZATION_TOKEN_PREFIX = "tot_"  # noqa: S105  (how such a token begins, not a token)


@dataclass(frozen=True)
class Settings:
    """How to reach the service, and how long to try.

    :param host: base URL of the service, ``https://...``; plain http only to this machine
    :param key: API key
    :param secret: the key's secret; without a key, an organization token (begins ``tot_``)
    :param connect_timeout: seconds to wait for a connection, TLS included
    :param read_timeout: seconds to wait for the next byte of a response, and for all of its headers
    :param max_attempts: the most attempts of a call
    :param retry_seconds: seconds after the first failed attempt in which another may begin
    :param verify: check the service's certificate: True, False, or the path of a CA file
    :param allow_http: permit plain http to any host
    :param requests_per_second: the most requests that a poller, and that a batch, sends in a second; None for no
        limit
    :param dashboard_url: address of a workflow's page, with ``{workflow_id}`` in it
    :param webhooks: whether the service sends webhooks for this connection, and they are to be received
    :param webhook_key_seconds: seconds after which a public key of the service is fetched again: one that was
        withdrawn is accepted for that long
    :param personal_fields: names of fields that hold personal data, beside those of a case
    :param hash_secret: the key of the hashes of personal numbers
    :param statuses: which statuses end a wait
    :param api_generation: number of the API's generation that requests are of: 1, 2 or 3
    :raises InvalidInput: naming the setting and what is wrong with it
    """

    host: str = DEFAULT_HOST
    key: str = ""
    secret: str = field(default="", repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_attempts: int = 5
    retry_seconds: float = 120.0
    verify: bool | str = True
    allow_http: bool = False
    requests_per_second: float | None = None
    dashboard_url: str | None = None
    webhooks: bool = False
    webhook_key_seconds: float = MAX_WEBHOOK_KEY_SECONDS
    personal_fields: tuple[str, ...] = ()
    hash_secret: str = field(default="", repr=False)
    statuses: Statuses = field(default_factory=Statuses)
    api_generation: int = DEFAULT_GENERATION

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _base_url(self.host, allow_http=self.allow_http))
        for name in ("connect_timeout", "read_timeout", "retry_seconds", "webhook_key_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be a number of seconds above 0")
        if self.webhook_key_seconds > MAX_WEBHOOK_KEY_SECONDS:
            raise InvalidInput(f"webhook_key_seconds must be at most {MAX_WEBHOOK_KEY_SECONDS:g}")
        if self.requests_per_second is not None and not 0 < self.requests_per_second < float("inf"):
            raise InvalidInput("requests_per_second must be a number above 0")
        if self.dashboard_url is not None and "{workflow_id}" not in self.dashboard_url:
            raise InvalidInput("dashboard_url must have {workflow_id} in it, where the workflow's id goes")
        if self.api_generation not in GENERATIONS:
            raise InvalidInput(f"api_generation must be {in_words(GENERATIONS)}")
        if self.max_attempts < 1:
            raise InvalidInput("max_attempts must be at least 1")
        if isinstance(self.verify, str) and not Path(self.verify).is_file():
            raise InvalidInput(f"verify names a CA file that does not exist: {self.verify}")
        if not all(any(map(str.isalnum, name)) for name in self.personal_fields):
            raise InvalidInput("personal_fields has a name without a letter or a digit")
        if self.hash_secret and len(self.hash_secret) < MIN_HASH_SECRET_CHARACTERS:
            raise InvalidInput(f"hash_secret must have at least {MIN_HASH_SECRET_CHARACTERS} characters")
        self._check_credentials()

    def _check_credentials(self) -> None:
        for name in ("key", "secret"):
            if any(not 32 < ord(character) < 127 for character in getattr(self, name)):
                raise InvalidInput(f"{name} has white space or a character outside of ASCII in it")
        if not self.secret:
            raise InvalidInput("no organization token: give one as the secret, or an API key with its secret")
        is_token = self.secret.startswith(ORGANIZATION_TOKEN_PREFIX)
        if not self.key and not is_token:
            raise InvalidInput(
                f"the secret is no organization token (which begins with {ORGANIZATION_TOKEN_PREFIX}), and there "
                "is no API key beside it: give such a token, or the key that this is the secret of"
            )
        # As is left where a token was put in the place of a key's secret.
        if self.key and is_token:
            raise InvalidInput(
                "an API key (the login) beside an organization token (the password): leave the key away"
            )

    @property
    def organization_token(self) -> str | None:
        """The organization token, which is sent as it is, without authorizing; None if there is an API key."""
        return None if self.key else self.secret

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be right, though calls work with it: a clause for each."""
        return (*self.statuses.problems, *((DASHBOARD_IS_API,) if self._dashboard_is_api else ()))

    def dashboard_page(self, workflow_id: str) -> str | None:
        """Return the page of a run in the service's dashboard; None if it is not known where that is.

        :param workflow_id: id of the run
        """
        if self.dashboard_url is None or self._dashboard_is_api:
            return None
        return self.dashboard_url.replace("{workflow_id}", workflow_id)

    @functools.cached_property
    def _dashboard_is_api(self) -> bool:
        return self.dashboard_url is not None and _server(self.dashboard_url) == _server(self.host)

    @functools.cached_property
    def all_personal_fields(self) -> PersonalFields:
        """The names of all fields that hold personal data: a case's, the service's and the connection's."""
        return PersonalFields(self.personal_fields)

    def require_hash_secret(self) -> str:
        """Return the key of the hashes of personal numbers.

        :raises InvalidInput: saying where to set it, if it is not set
        """
        if not self.hash_secret:
            raise InvalidInput(
                "hash_personal_numbers needs a secret to key the hashes with: give the connection the extra "
                f"'hash_secret' of at least {MIN_HASH_SECRET_CHARACTERS} characters, "
                "the same wherever hashes must agree"
            )
        return self.hash_secret


def _base_url(host: str, *, allow_http: bool) -> str:
    url = host.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"host is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not name or parts.netloc.endswith(":"):
        raise InvalidInput(f"host must be a URL such as {DEFAULT_HOST}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise InvalidInput("host must be a URL without user, query and fragment")
    if any(character.isspace() for character in url):
        raise InvalidInput("host has white space in it")
    if parts.scheme == "http" and not allow_http and not is_loopback(name):
        raise InvalidInput(
            f"host is plain http to {name}, which would send the secret and personal data unencrypted; "
            "use https, or set allow_http"
        )
    return url


def _server(url: str) -> tuple[str | None, int | None] | None:
    """Return the host and the port that a URL leads to; None if it is no URL."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def is_loopback(name: str) -> bool:
    """Return whether ``name`` (a host name or an IP address) can only be this machine."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
