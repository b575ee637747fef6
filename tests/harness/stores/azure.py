"""Azure Blob Storage, emulated by Azurite."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from tests.harness.stores.store import Store, send

ACCOUNT = "account"
#: Of the account in the emulator; each shared access signature is made with it.
ACCOUNT_KEY = base64.b64encode(b"k" * 64).decode()
_VERSION = "2022-11-02"
_REFUSED = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to '
    "authenticate the request</Message></Error>"
)


class AzureBlobs(Store):
    """Reached through Airflow's provider ``microsoft.azure`` and adlfs.

    The key is the day at which a shared access signature ends, such as ``2031-01-01``; the emulator checks the
    signature itself.
    """

    scheme = "abfs"
    name = "Azure Blob Storage"

    def put(self, bucket: str, name: str, content: bytes) -> None:
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        send("PUT", self.object_url(bucket, name), content, headers)

    def make_bucket(self, name: str) -> None:
        url = f"{self.emulator}/{ACCOUNT}/{name}?restype=container&{signature('2040-01-01')}"
        send("PUT", url, b"", {"x-ms-version": _VERSION})

    def object_url(self, bucket: str, name: str) -> str:
        return f"{self.emulator}/{ACCOUNT}/{bucket}/{quote(name)}?{signature('2040-01-01')}"

    def connection_fields(self, key: str) -> dict[str, Any]:
        text = f"BlobEndpoint={self.gateway.url}/{ACCOUNT};SharedAccessSignature={signature(key)}"
        return {"conn_type": "adls", "extra": {"connection_string": text}}

    def key_of(self, request: web.Request) -> str | None:
        return request.query.get("se", "")[:10] or None

    def refused(self, request: web.Request) -> web.Response:
        headers = {"x-ms-error-code": "AuthenticationFailed"}
        return web.Response(status=403, text=_REFUSED, content_type="application/xml", headers=headers)


def signature(last_day: str) -> str:
    """Return a shared access signature of the account, for all that may be done with blobs, as a query.

    :param last_day: when it ends, as an ISO date
    """
    fields = {
        "sp": "rwdlacup",
        "ss": "b",
        "srt": "sco",
        "st": "",
        "se": f"{last_day}T00:00:00Z",
        "sip": "",
        "spr": "https,http",
        "sv": _VERSION,
        "ses": "",
    }
    text = "".join(f"{line}\n" for line in (ACCOUNT, *fields.values()))
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    given = {name: value for name, value in fields.items() if value}
    return urlencode({**given, "sig": base64.b64encode(digest).decode()})
