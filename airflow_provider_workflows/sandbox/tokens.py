"""Who may call: API key, access tokens, refresh tokens and the organization token."""

from __future__ import annotations

import secrets
import time

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal

MAXIMUM_TOKENS = 10_000


class Tokens:
    """The tokens in force.

    :param key: the API key that is accepted
    :param secret: its secret
    :param organization_token: accepted as it is, for ever
    :param token_seconds: life of the access tokens to come
    """

    def __init__(self, key: str, secret: str, organization_token: str, token_seconds: float) -> None:
        self.key = key
        self.secret = secret
        self.organization_token = organization_token
        self.token_seconds = token_seconds
        self._access: dict[str, float] = {}
        self._refresh: dict[str, None] = {}

    def authorize(self, credentials: models.ApiKey) -> JsonObject:
        """Return a pair of tokens for the key and secret.

        :raises Refusal: 401 when they are not the right ones
        """
        if (credentials.key, credentials.secret) != (self.key, self.secret):
            raise Refusal(401, "INVALID_CREDENTIALS", "The key or the secret is not known.")
        return self._issue()

    def refresh(self, body: models.RefreshToken) -> JsonObject:
        """Return a new pair of tokens for a refresh token, which is thereby used up.

        :raises Refusal: 401 when the token is not known, used or expired
        """
        if self._refresh.pop(body.refresh_token, self) is self:
            raise Refusal(401, "INVALID_REFRESH_TOKEN", "The refresh token is not known, used or expired.")
        return self._issue()

    def check(self, authorization: str | None) -> None:
        """Let a call with this ``Authorization`` header pass.

        :raises Refusal: 401 when it carries no token in force
        """
        if not authorization:
            raise Refusal(401, "UNAUTHORIZED", "There is no Authorization header.")
        if authorization == self.organization_token:
            return
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or self._access.get(token, 0.0) <= time.monotonic():
            raise Refusal(401, "UNAUTHORIZED", "The token is not known or has expired.")

    def expire(self, *, refresh: bool = False) -> None:
        """End all access tokens now, and with ``refresh`` the refresh tokens as well."""
        self._access.clear()
        if refresh:
            self._refresh.clear()

    def _issue(self) -> JsonObject:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._access[access] = time.monotonic() + self.token_seconds
        self._refresh[refresh] = None
        # The oldest give way, so that a caller who authorizes for ever cannot fill the memory.
        for tokens in (self._access, self._refresh):
            if len(tokens) > MAXIMUM_TOKENS:
                tokens.pop(next(iter(tokens)), None)
        return {
            "accessToken": access,
            "refreshToken": refresh,
            "expiryDuration": self.token_seconds,
            "tokenType": "Bearer",
        }
