"""The keys that webhooks are signed with, and the signatures that an attacker would forge."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import uuid
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.sandbox.responses import Refusal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_IS_PEM = {"true": True, "false": False, None: False}


class SigningKeys:
    """RSA keys by their ids, each made when it is first needed; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signing: tuple[str, RSAPrivateKey] | None = None
        self._wrong: RSAPrivateKey | None = None
        self._valid: dict[str, RSAPublicKey] = {}

    def read(self, kid: str, pem: str | None) -> str:
        """Return the public key of an id.

        :param kid: its id
        :param pem: ``true`` for PEM, ``false`` or None for the base64 of the DER alone
        :raises Refusal: 404 if there is no such key; 400 if ``kid`` is not a UUID or ``pem`` is neither
        """
        if not is_id(kid) or pem not in _IS_PEM:
            raise Refusal(400, "VALIDATION_FAILED", "kid must be a UUID, and pem true or false.")
        key = self._valid.get(kid.lower())
        if key is None:
            raise Refusal(404, "KEY_NOT_FOUND", "There is no such key.")
        text = _pem(key)
        return text if _IS_PEM[pem] else "".join(text.splitlines()[1:-1])

    def sign(self, body: bytes) -> str:
        """Return the signature of ``body`` as the service makes it."""
        from airflow_provider_workflows.api import webhook_signature  # noqa: PLC0415

        kid, key = self._current()
        return webhook_signature.sign(body, key, kid)

    def forge(self, name: str, body: bytes) -> str | None:
        """Return the signature of ``body`` that the webhook fault ``name`` makes, or None for no header."""
        from airflow_provider_workflows.api import webhook_signature  # noqa: PLC0415

        kid, key = self._current()
        if name == "wrong_key":
            return webhook_signature.sign(body, self._another(), kid)
        if name == "alg_none":
            return _detached("none", kid, body, None)
        if name == "hs256":
            return _detached("HS256", kid, body, _pem(key.public_key()).encode())
        return None

    def rotate(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on, and return its id.

        :param keep_old: whether earlier keys can still be read
        """
        kid, key = str(uuid.uuid4()), _new_key()
        with self._lock:
            self._valid = {**(self._valid if keep_old else {}), kid: key.public_key()}
            self._signing = kid, key
        return kid

    def _current(self) -> tuple[str, RSAPrivateKey]:
        with self._lock:
            if self._signing is None:
                kid, key = str(uuid.uuid4()), _new_key()
                self._signing = kid, key
                self._valid = {kid: key.public_key()}
            return self._signing

    def _another(self) -> RSAPrivateKey:
        with self._lock:
            if self._wrong is None:
                self._wrong = _new_key()
            return self._wrong


# cryptography and PyJWT are imported where they are needed: a sandbox that sends no webhooks never loads them.


def _new_key() -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    return rsa.generate_private_key(65537, 2048)


def _pem(key: RSAPublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _detached(algorithm: str, kid: str, body: bytes, secret: bytes | None) -> str:
    from jwt.utils import base64url_encode  # noqa: PLC0415

    protected = base64url_encode(json.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}).encode())
    signed = protected + b"." + base64url_encode(body)
    signature = b"" if secret is None else base64url_encode(hmac.digest(secret, signed, hashlib.sha256))
    return (protected + b".." + signature).decode()
