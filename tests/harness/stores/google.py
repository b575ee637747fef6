"""Google Cloud Storage, emulated by gcp-storage-emulator."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import parse_qs, quote

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.stores.gateway import Gateway
from tests.harness.stores.store import Store, send

_TOKEN_PATH = "/token"


class GoogleStorage(Store):
    """Reached through Airflow's provider ``google`` and gcsfs; the key is the id of a service account's key.

    The gateway gives out access tokens as Google does, for what the service account's key has signed.
    """

    scheme = "gs"
    name = "Google Cloud Storage"
    # gcp-storage-emulator 2026.7.19 keeps as the object what came of an upload until the connection broke.
    takes_halves = False

    def put(self, bucket: str, name: str, content: bytes) -> None:
        url = f"{self.emulator}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        send("POST", url, content, {"Content-Type": "application/octet-stream"})

    def make_bucket(self, name: str) -> None:
        url = f"{self.emulator}/storage/v1/b?project=project"
        send("POST", url, json.dumps({"name": name}).encode(), {"Content-Type": "application/json"})

    def object_url(self, bucket: str, name: str) -> str:
        return f"{self.emulator}/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"

    def connection_fields(self, key: str) -> dict[str, Any]:
        account = {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": key,
            "private_key": _private_key(),
            "client_email": "batch@project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.gateway.url}{_TOKEN_PATH}",
        }
        extra = {"keyfile_dict": json.dumps(account), "gcs.endpoint": self.gateway.url}
        return {"conn_type": "google_cloud_platform", "extra": extra}

    def key_of(self, request: web.Request) -> str | None:
        return request.headers.get("Authorization", "").removeprefix("Bearer token of ") or None

    def refused(self, request: web.Request) -> web.Response:
        error = {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}
        return web.json_response({"error": error}, status=401)

    def respond(self, gateway: Gateway, request: web.Request, body: bytes) -> web.Response | None:
        if request.path != _TOKEN_PATH:
            return None
        assertion = parse_qs(body.decode())["assertion"][0]
        key = jwt.get_unverified_header(assertion)["kid"]
        if gateway.valid_key not in (None, key):
            gateway.refusals += 1
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {"access_token": f"token of {key}", "token_type": "Bearer", "expires_in": 3600}
        )


@functools.cache
def _private_key() -> str:
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )
