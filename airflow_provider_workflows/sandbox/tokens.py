"""What requests are authenticated with: API key, access tokens, refresh tokens, organization tokens with scopes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias, get_args

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal

MAX_TOKENS = 10_000

Scope: TypeAlias = Literal[
    "can_run",
    "can_view_workspace",
    "can_read_data",
    "can_edit_data",
    "can_read_attachments",
    "can_edit_attachments",
]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class Tokens:
    """The tokens in force.

    :param key: the API key that is accepted
    :param secret: its secret
    :param organization_token: accepted without a scheme, with all scopes, until it is rotated
    :param token_seconds: life of the access tokens to come, in seconds
    :param clock: returns monotonic seconds
    """

    def __init__(
        self,
        key: str,
        secret: str,
        organization_token: str,
        token_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.key = key
        self.secret = secret
        self.organization_token = organization_token
        self._organization: dict[str, frozenset[Scope]] = {organization_token: ALL_SCOPES}
        self.token_seconds = token_seconds
        self._clock = clock
        self._access: dict[str, float] = {}
        self._refresh: dict[str, None] = {}

    def authorize(self, credentials: models.ApiKey) -> JsonObject:
        """Return a pair of tokens for the key and secret.

        :raises Refusal: 401 if they are wrong
        """
        if (credentials.key, credentials.secret) != (self.key, self.secret):
            raise Refusal(401, "INVALID_CREDENTIALS", "The key or the secret is wrong.")
        return self._issue()

    def refresh(self, body: models.RefreshToken) -> JsonObject:
        """Return a new pair of tokens for a refresh token, which is thereby used up.

        :raises Refusal: 401 if the token is unknown, used or expired
        """
        if self._refresh.pop(body.refresh_token, self) is self:
            raise Refusal(401, "INVALID_REFRESH_TOKEN", "The refresh token is unknown, used or expired.")
        return self._issue()

    def check(self, authorization: str | None, scopes: Collection[Scope] = ()) -> None:
        """Check the ``Authorization`` header of a request.

        :param scopes: the scopes of which the token must have one; an access token has all
        :raises Refusal: 401 if it carries no token in force, 403 if the token has none of the scopes
        """
        if not authorization:
            raise Refusal(401, "UNAUTHORIZED", "There is no Authorization header.")
        granted = self._organization.get(authorization)
        if granted is not None:
            if scopes and granted.isdisjoint(scopes):
                raise Refusal(403, "FORBIDDEN", f"The token lacks the scope {' or '.join(scopes)}.")
            return
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or self._access.get(token, 0.0) <= self._clock():
            raise Refusal(401, "UNAUTHORIZED", "The token is unknown or has expired.")

    def issue_organization_token(self, scopes: Collection[Scope]) -> str:
        """Return a further organization token, which has these scopes."""
        token = f"tot_{secrets.token_urlsafe(32)}"
        self._organization[token] = frozenset(scopes)
        return token

    def rotate_organization_token(self, token: str | None = None) -> str:
        """End an organization token, and return a new one with its scopes.

        :param token: the one to end; None for the first
        :raises KeyError: if it is not in force
        """
        ended = self.organization_token if token is None else token
        new = self.issue_organization_token(self._organization[ended])
        del self._organization[ended]
        if ended == self.organization_token:
            self.organization_token = new
        return new

    def expire(self, *, refresh: bool = False) -> None:
        """End all access tokens now, and with ``refresh`` the refresh tokens too."""
        self._access.clear()
        if refresh:
            self._refresh.clear()

    def rotate_secret(self) -> str:
        """Replace the key's secret, end all tokens, and return the new secret."""
        self.secret = secrets.token_urlsafe(32)
        self.expire(refresh=True)
        return self.secret

    def _issue(self) -> JsonObject:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._access[access] = self._clock() + self.token_seconds
        self._refresh[refresh] = None
        # The oldest are dropped, so that a client that authorizes for ever cannot fill the memory.
        for tokens in (self._access, self._refresh):
            if len(tokens) > MAX_TOKENS:
                tokens.pop(next(iter(tokens)), None)
        return {
            "accessToken": access,
            "refreshToken": refresh,
            "expiryDuration": self.token_seconds,
            "tokenType": "Bearer",
        }
