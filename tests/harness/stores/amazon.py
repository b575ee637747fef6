"""Amazon S3, emulated by moto."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import quote

from aiohttp import web

from tests.harness.stores.store import Store, send

_KEY = re.compile(r"Credential=([^/]+)/")
_REFUSED = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist'
    "</Message></Error>"
)


class AmazonS3(Store):
    """Reached through Airflow's provider ``amazon`` and s3fs; the key is the access key's id."""

    scheme = "s3"
    name = "Amazon S3"
    # moto does not check signatures, and takes who sends none for a stranger.
    headers: ClassVar[dict[str, str]] = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=another/20260131/us-east-1/s3/aws4_request, "
        "SignedHeaders=host, Signature=0"
    }

    def put(self, bucket: str, name: str, content: bytes) -> None:
        headers = {**self.headers, "Content-Type": "application/octet-stream"}
        send("PUT", self.object_url(bucket, name), content, headers)

    def make_bucket(self, name: str) -> None:
        send("PUT", f"{self.emulator}/{name}", headers=self.headers)

    def object_url(self, bucket: str, name: str) -> str:
        return f"{self.emulator}/{bucket}/{quote(name)}"

    def connection_fields(self, key: str) -> dict[str, Any]:
        return {
            "conn_type": "aws",
            "login": key,
            "password": f"secret of {key}",
            "extra": {"endpoint_url": self.gateway.url, "region_name": "us-east-1"},
        }

    def key_of(self, request: web.Request) -> str | None:
        found = _KEY.search(request.headers.get("Authorization", ""))
        return found[1] if found else None

    def refused(self, request: web.Request) -> web.Response:
        return web.Response(status=403, text=_REFUSED, content_type="application/xml")
