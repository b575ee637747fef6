"""The signature of a webhook: a detached JWS (RFC 7515, appendix F, and RFC 7797), RS256 and nothing else."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.api.strict_json import parse_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: The header that carries the signature of a webhook's body.
HEADER = "JWS-SIGNATURE"
ALGORITHM = "RS256"
MAX_SIGNATURE_CHARACTERS = 8192
MAX_PUBLIC_KEY_CHARACTERS = 8192
MIN_KEY_BITS = 2048
#: Protected headers up to this length are cached; the service's has about 110.
MAX_CACHED_HEADER_CHARACTERS = 512

_DETACHED = re.compile(r"([A-Za-z0-9_-]+)\.\.([A-Za-z0-9_-]+)")
_PEM = re.compile(r"-----BEGIN ((?:RSA )?PUBLIC KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])
_PADDING, _HASH = PKCS1v15(), SHA256()


class SignatureInvalid(ValueError):
    """A signature, or a public key, that must not be trusted.

    The message is the reason. It is for the log alone, and repeats nothing of what was received.
    """


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of the service's form, with its algorithm; whether it fits a body is still to be checked.

    :param key_id: id of the public key that it names: a UUID in lower case
    :param protected: the protected header as it was received, base64url
    :param made: the signature proper
    :param is_of_raw_body: whether the body was signed without encoding it (RFC 7797)
    """

    key_id: str
    protected: str
    made: bytes
    is_of_raw_body: bool


def read_signature(header: str) -> Signature:
    """Read the header of a delivery, before anything is done with its body.

    :param header: its value, ``<protected header>..<signature>``
    :raises SignatureInvalid: if the service cannot have made it
    """
    if len(header) > MAX_SIGNATURE_CHARACTERS:
        raise SignatureInvalid(f"the signature is longer than {MAX_SIGNATURE_CHARACTERS} characters")
    parts = _DETACHED.fullmatch(header)
    if parts is None:
        raise SignatureInvalid("the signature is not of the form <protected header>..<signature>")
    protected = parts[1]
    read = _read_short_protected if len(protected) <= MAX_CACHED_HEADER_CHARACTERS else _read_protected
    kid, is_of_raw_body = read(protected)
    return Signature(kid, protected, _decoded(parts[2]), is_of_raw_body)


def key_id(signature: str) -> str:
    """Return the id of the public key that ``signature`` names: a UUID in lower case.

    :param signature: the value of the header, ``<protected header>..<signature>``
    :raises SignatureInvalid: if the service cannot have made it
    """
    return read_signature(signature).key_id


def verify(signature: str | Signature, body: bytes, key: RSAPublicKey) -> None:
    """Check that the owner of ``key`` signed ``body``.

    :param signature: the value of the header, or what was read of it
    :param body: the body as it was received, byte for byte
    :param key: the service's key of the id ``key_id(signature)``; nothing in the signature can replace it
    :raises SignatureInvalid: if the signature does not fit, or the key is too weak
    """
    if isinstance(signature, str):
        signature = read_signature(signature)
    _check_key(key)
    payload = body if signature.is_of_raw_body else base64.urlsafe_b64encode(body).rstrip(b"=")
    try:
        key.verify(signature.made, signature.protected.encode() + b"." + payload, _PADDING, _HASH)
    except InvalidSignature:
        raise SignatureInvalid("the signature does not fit the body") from None


def public_key(pem_or_base64: str) -> RSAPublicKey:
    """Return an RSA public key from the text of the service's key endpoint.

    :param pem_or_base64: one PEM block, or the base64 of its DER alone
    :raises SignatureInvalid: if the text is anything else, or the key has fewer than 2048 bits
    """
    if len(pem_or_base64) > MAX_PUBLIC_KEY_CHARACTERS:
        raise SignatureInvalid(f"the public key is longer than {MAX_PUBLIC_KEY_CHARACTERS} characters")
    text = pem_or_base64.strip()
    pem = _PEM.fullmatch(text)
    try:
        der = base64.b64decode("".join((pem[2] if pem else text).split()), validate=True)
        return _check_key(load_der_public_key(der))
    except SignatureInvalid:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureInvalid("the text is not a public key in PEM or base64") from None


def sign(body: bytes, private_key: RSAPrivateKey, kid: str, *, b64: bool = True) -> str:
    """Return the value of the header for ``body``, as the service makes it.

    :param body: the body as it is sent, byte for byte
    :param private_key: an RSA key
    :param kid: the id of its public key, a UUID
    :param b64: False for the form of RFC 7797, which signs the body without encoding it
    """
    headers: dict[str, Any] = {"kid": kid} if b64 else {"kid": kid, "b64": False, "crit": ["b64"]}
    protected, _, made = _JWS.encode(body, private_key, ALGORITHM, headers).split(".")
    return f"{protected}..{made}"


def _read_protected(protected: str) -> tuple[str, bool]:
    """Return the id of the key in lower case, and whether the raw body was signed."""
    try:
        header = parse_json(_decoded(protected))
    except InvalidInput as reason:
        raise SignatureInvalid(f"the protected header cannot be decoded: it {reason}") from None
    if not isinstance(header, dict):
        raise SignatureInvalid("the protected header is not a JSON object")
    if header.get("alg") != ALGORITHM:
        raise SignatureInvalid(f"the algorithm is not {ALGORITHM}")
    kid = header.get("kid")
    # Checked before anything else is done with it: it goes into a URL.
    if not isinstance(kid, str) or not is_id(kid):
        raise SignatureInvalid("the key id is not a UUID")
    # RFC 7797, section 6: a header with b64 must list it as critical.
    if ("b64" in header or "crit" in header) and not (
        isinstance(header.get("b64"), bool) and header.get("crit") == ["b64"]
    ):
        raise SignatureInvalid("crit is not exactly b64, or is missing beside it")
    return kid.lower(), header.get("b64") is False


# The service's header is the same for each delivery with a key. What anybody invents takes 256 places at most.
_read_short_protected = functools.lru_cache(maxsize=256)(_read_protected)


def _decoded(segment: str) -> bytes:
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise SignatureInvalid("the protected header or the signature cannot be decoded") from None
    # A signature has one spelling only: bits that decoding would drop must be zero.
    if _base64url(decoded) != segment:
        raise SignatureInvalid("the signature is not base64url in its one proper form")
    return decoded


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _check_key(key: object) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey):
        raise SignatureInvalid("the key is not an RSA public key")
    if key.key_size < MIN_KEY_BITS:
        raise SignatureInvalid(f"the key has fewer than {MIN_KEY_BITS} bits")
    return key
