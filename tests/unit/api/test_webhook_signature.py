"""The signature of a webhook: what other libraries make verifies, and no forgery does."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_workflows.api.webhook_signature import (
    SignatureInvalid,
    key_id,
    public_key,
    sign,
    verify,
)
from airflow_provider_workflows.sandbox.sockets import Certificate

jws = pytest.importorskip("joserfc.jws", reason="joserfc needs Python 3.11")
RSAKey = pytest.importorskip("joserfc.jwk").RSAKey

KID = "0f6b1c2d-3e4a-4b5c-8d7e-9f0a1b2c3d4e"
BODY = b'{"workflowId": "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1", "name": "a.b"}'
HEADER = {"alg": "RS256", "kid": KID, "typ": "JWT"}

PRIVATE = rsa.generate_private_key(65537, 2048)
PUBLIC = PRIVATE.public_key()
OTHER = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
# Numbers of the right size: to find primes takes up to two seconds.
DSA = dsa.DSAPublicNumbers(2, dsa.DSAParameterNumbers(p=2**2047 + 1, q=2**255 + 1, g=2)).public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BASE64 = base64.b64encode(PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

BODIES = [BODY, b"", b".", b"a..b.", "é\0".encode() * 50, b"x" * 50_000]
FORMS = {
    "RFC 7515": {},
    "RFC 7797": {"b64": False, "crit": ["b64"]},
    "b64 said": {"b64": True, "crit": ["b64"]},
}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pkcs1(key: rsa.RSAPrivateKey = PRIVATE) -> Callable[[bytes], bytes]:
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def signed(header: Any, body: bytes = BODY, signer: Callable[[bytes], bytes] | None = None) -> str:
    """Sign ``body`` under any header, as a forger may; with the right key unless ``signer`` is another."""
    protected = encoded(header if isinstance(header, bytes) else json.dumps(header).encode())
    plain = isinstance(header, dict) and header.get("b64") is False
    payload = body if plain else encoded(body).encode()
    return f"{protected}..{encoded((signer or pkcs1())(protected.encode() + b'.' + payload))}"


def accept(signature: str, body: bytes = BODY, key: rsa.RSAPublicKey = PUBLIC) -> str:
    """Do what a handler does: find the key by its id, then verify."""
    kid = key_id(signature)
    verify(signature, body, key)
    return kid


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{len(body)} bytes")
def test_what_another_library_signs_verifies(form: dict[str, Any], body: bytes) -> None:
    key = RSAKey.import_key(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    token = jws.serialize_compact(HEADER | form, body, key)
    assert accept(f"{token.split('.')[0]}..{token.rsplit('.')[-1]}", body) == KID


@pytest.mark.parametrize("b64", [True, False])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{len(body)} bytes")
def test_another_library_verifies_what_we_sign(b64: bool, body: bytes) -> None:
    signature = sign(body, PRIVATE, KID, b64=b64)
    found = jws.deserialize_compact(
        signature if not b64 else signature.replace("..", f".{encoded(body)}."),
        RSAKey.import_key(PEM),
        payload=None if b64 else body,
    )
    assert found.protected["kid"] == KID
    assert accept(signature, body) == KID


def test_the_header_is_the_one_that_the_service_sends() -> None:
    protected = sign(BODY, PRIVATE, KID).split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(protected + "==")) == HEADER


def test_a_key_id_is_returned_in_lower_case() -> None:
    assert key_id(signed(HEADER | {"kid": KID.upper()})) == KID


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_that_the_signature_brings_along_is_not_trusted(name: str) -> None:
    brought = {"jwk": RSAKey.import_key(PEM).as_dict(), "x5c": [BASE64]}.get(name, "https://evil.invalid/key")
    header = HEADER | {name: brought}
    assert accept(signed(header)) == KID
    with pytest.raises(SignatureInvalid, match="does not fit the body"):
        accept(signed(header, signer=pkcs1(OTHER)))


def test_another_body_or_key_does_not_fit() -> None:
    signature = sign(BODY, PRIVATE, KID)
    for body, key in ((BODY + b"\n", PUBLIC), (BODY[:-1], PUBLIC), (b"", PUBLIC), (BODY, OTHER.public_key())):
        with pytest.raises(SignatureInvalid, match="does not fit the body"):
            accept(signature, body, key)


def test_a_signature_of_one_form_is_refused_for_the_other() -> None:
    protected = sign(BODY, PRIVATE, KID, b64=False).split(".")[0]
    signature = f"{protected}..{sign(BODY, PRIVATE, KID).rsplit('.')[-1]}"
    with pytest.raises(SignatureInvalid, match="does not fit the body"):
        accept(signature)


@pytest.mark.parametrize(
    ("key", "reason"),
    [(WEAK.public_key(), "fewer than 2048 bits"), (CURVE.public_key(), "not an RSA public key")],
)
def test_a_key_that_proves_nothing_is_refused(key: Any, reason: str) -> None:
    with pytest.raises(SignatureInvalid, match=reason):
        verify(signed(HEADER, signer=pkcs1(WEAK)), BODY, key)


def other(**changes: Any) -> str:
    return signed(HEADER | changes)


def without(name: str) -> str:
    return signed({key: value for key, value in HEADER.items() if key != name})


def hs256(secret: str) -> str:
    return signed(
        HEADER | {"alg": "HS256"}, signer=lambda data: hmac.digest(secret.encode(), data, hashlib.sha256)
    )


def spoiled(change: Callable[[str, str], str]) -> str:
    protected, _, made = sign(BODY, PRIVATE, KID).split(".")
    return change(protected, made)


SALTED = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)

FORGERIES: dict[str, tuple[str, str]] = {
    "alg none": (signed(HEADER | {"alg": "none"}, signer=lambda _: b""), "not of the form"),
    "alg none with a signature": (other(alg="none"), "algorithm"),
    "alg None": (other(alg="None"), "algorithm"),
    "alg null": (other(alg=None), "algorithm"),
    "alg missing": (without("alg"), "algorithm"),
    "alg in a list": (other(alg=["RS256"]), "algorithm"),
    "alg in lower case": (other(alg="rs256"), "algorithm"),
    "HS256 with the public key": (hs256(PEM), "algorithm"),
    "HS256 with the bare public key": (hs256(BASE64), "algorithm"),
    "RS512": (
        signed(
            HEADER | {"alg": "RS512"}, signer=lambda d: PRIVATE.sign(d, padding.PKCS1v15(), hashes.SHA512())
        ),
        "algorithm",
    ),
    "PS256": (
        signed(HEADER | {"alg": "PS256"}, signer=lambda d: PRIVATE.sign(d, SALTED, hashes.SHA256())),
        "algorithm",
    ),
    "PS256 as RS256": (
        signed(HEADER, signer=lambda d: PRIVATE.sign(d, SALTED, hashes.SHA256())),
        "does not fit",
    ),
    "ES256": (
        signed(HEADER | {"alg": "ES256"}, signer=lambda d: CURVE.sign(d, ec.ECDSA(hashes.SHA256()))),
        "algorithm",
    ),
    "signature of zeros": (signed(HEADER, signer=lambda _: bytes(256)), "does not fit"),
    "signature too short": (signed(HEADER, signer=lambda _: b"\x00"), "does not fit"),
    "signature cut": (signed(HEADER, signer=lambda d: pkcs1()(d)[:-1]), "does not fit"),
    "signature continued": (spoiled(lambda p, s: f"{p}..{s}AA"), "does not fit"),
    "signature empty": (spoiled(lambda p, _: f"{p}.."), "not of the form"),
    "header empty": (spoiled(lambda _, s: f"..{s}"), "not of the form"),
    "nothing": ("", "not of the form"),
    "payload attached": (spoiled(lambda p, s: f"{p}.{encoded(BODY)}.{s}"), "not of the form"),
    "two parts": (spoiled(lambda p, s: f"{p}.{s}"), "not of the form"),
    "four parts": (spoiled(lambda p, s: f"{p}..{s}.{s}"), "not of the form"),
    "three dots": (spoiled(lambda p, s: f"{p}...{s}"), "not of the form"),
    "JSON form": (json.dumps({"protected": "", "signature": ""}), "not of the form"),
    "line after it": (spoiled(lambda p, s: f"{p}..{s}\n"), "not of the form"),
    "blank before it": (spoiled(lambda p, s: f" {p}..{s}"), "not of the form"),
    "padding": (spoiled(lambda p, s: f"{p}..{s}=="), "not of the form"),
    "padded header": (spoiled(lambda p, s: f"{p}=..{s}"), "not of the form"),
    "alphabet of base64": (spoiled(lambda p, s: f"{p}..+/{s[2:]}"), "not of the form"),
    "character of no alphabet": (spoiled(lambda p, s: f"{p}..!{s[1:]}"), "not of the form"),
    "letters beyond ASCII": (spoiled(lambda p, s: f"{p}..é{s[1:]}"), "not of the form"),
    "half a character": (spoiled(lambda p, s: f"{p}..\ud800{s[1:]}"), "not of the form"),
    "one letter too many": (spoiled(lambda p, s: f"{p}..{s}AAA"), "decoded"),
    "dropped bits": (spoiled(lambda p, s: f"{p}..{s[:-1]}{chr(ord(s[-1]) + 1)}"), "base64"),
    "too long": (other(x="x" * 8192), "longer than 8192"),
    "very long": ("e" * 10_000_000, "longer than 8192"),
    "kid missing": (without("kid"), "key id"),
    "kid null": (other(kid=None), "key id"),
    "kid a number": (other(kid=1), "key id"),
    "kid a list": (other(kid=[KID]), "key id"),
    "kid empty": (other(kid=""), "key id"),
    "kid no UUID": (other(kid="key-1"), "key id"),
    "kid in braces": (other(kid=f"{{{KID}}}"), "key id"),
    "kid an URN": (other(kid=f"urn:uuid:{KID}"), "key id"),
    "kid without hyphens": (other(kid=KID.replace("-", "")), "key id"),
    "kid with a line after it": (other(kid=f"{KID}\n"), "key id"),
    "kid in other digits": (other(kid=KID.replace("0", "\u0660")), "key id"),
    "kid a path": (other(kid="../../cases/x"), "key id"),
    "kid a path behind a UUID": (other(kid=f"{KID}/../x"), "key id"),
    "kid a query behind a UUID": (other(kid=f"{KID}?x"), "key id"),
    "kid a URL": (other(kid="https://evil.invalid/key"), "key id"),
    "two kids": (signed(json.dumps(HEADER).encode()[:-1] + f',"kid":"{KID}"}}'.encode()), "twice"),
    "two algs": (signed(b'{"alg":"none",' + json.dumps(HEADER).encode()[1:]), "twice"),
    "crit unknown": (other(crit=["exp"], exp=1), "crit"),
    "crit unknown beside b64": (other(crit=["b64", "exp"], exp=1, b64=False), "crit"),
    "crit twice": (other(crit=["b64", "b64"], b64=False), "crit"),
    "crit empty": (other(crit=[]), "crit"),
    "crit a text": (other(crit="b64", b64=False), "crit"),
    "crit without b64": (other(crit=["b64"]), "crit"),
    "b64 false without crit": (other(b64=False), "crit"),
    "b64 true without crit": (other(b64=True), "crit"),
    "b64 a text": (other(b64="false", crit=["b64"]), "crit"),
    "b64 zero": (other(b64=0, crit=["b64"]), "crit"),
    "b64 null": (other(b64=None, crit=["b64"]), "crit"),
    "header a list": (signed([HEADER]), "not a JSON object"),
    "header a text": (signed("RS256"), "not a JSON object"),
    "header no JSON": (signed(b"alg=RS256"), "decoded"),
    "header two objects": (signed(json.dumps(HEADER).encode() * 2), "decoded"),
    "header with a byte order mark": (signed(b"\xef\xbb\xbf" + json.dumps(HEADER).encode()), "decoded"),
    "header in UTF-16": (signed(json.dumps(HEADER).encode("utf-16-le")), "decoded"),
    "header not UTF-8": (signed(b'{"\xff": 1}'), "decoded"),
    "header deep": (signed(b"[" * 5000), "decoded"),
    "header a number of many digits": (signed(b"9" * 5000), "decoded"),
}


@pytest.mark.parametrize(("signature", "reason"), FORGERIES.values(), ids=list(FORGERIES))
def test_a_forgery_is_refused(signature: str, reason: str) -> None:
    with pytest.raises(SignatureInvalid, match=reason):
        accept(signature)


@pytest.mark.parametrize(
    "text",
    [PEM, BASE64, PEM.replace("\n", "\r\n"), f"\n{BASE64}\n", PEM.strip()],
    ids=["PEM", "base64", "CRLF", "padded base64", "stripped PEM"],
)
def test_a_public_key_is_read_in_both_forms(text: str) -> None:
    assert public_key(text) == PUBLIC


def private_text(encryption: Any = NoEncryption(), form: PrivateFormat = PrivateFormat.PKCS8) -> str:  # noqa: B008
    return PRIVATE.private_bytes(Encoding.PEM, form, encryption).decode()


def public_text(key: Any) -> str:
    return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def certificate() -> x509.Certificate:
    made = Certificate("localhost")
    try:
        return x509.load_pem_x509_certificate(made.ca_file.read_bytes())
    finally:
        made.remove()


NO_PUBLIC_KEYS = {
    "nothing": "",
    "HTML": "<html></html>",
    "letters beyond ASCII": "é" * 400,
    "half a character": "\ud800",
    "private": private_text(),
    "private, older form": private_text(form=PrivateFormat.TraditionalOpenSSL),
    "private, encrypted": private_text(BestAvailableEncryption(b"secret")),
    "private, bare": "".join(private_text().splitlines()[1:-1]),
    "private behind a public one": PEM + private_text(),
    "two": PEM + PEM,
    "text before it": f"key: {PEM}",
    "elliptic curve": public_text(CURVE.public_key()),
    "Ed25519": public_text(ed25519.Ed25519PrivateKey.generate().public_key()),
    "DSA": public_text(DSA),
    "under 2048 bits": public_text(WEAK.public_key()),
    "certificate": certificate().public_bytes(Encoding.PEM).decode(),
    "certificate, bare": base64.b64encode(certificate().public_bytes(Encoding.DER)).decode(),
    "SSH": PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    "cut": BASE64[:-8],
    "character of no alphabet": f"{BASE64[:40]}!{BASE64[40:]}",
    "longer than its DER": base64.b64encode(base64.b64decode(BASE64) + b"\x00").decode(),
    "too long": BASE64 + "\n" * 8192,
}


@pytest.mark.parametrize("text", NO_PUBLIC_KEYS.values(), ids=list(NO_PUBLIC_KEYS))
def test_anything_but_one_rsa_public_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureInvalid):
        public_key(text)


BOUNDS = settings(max_examples=200, deadline=None, database=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "b64", "crit", "typ", "jwk"]), JSON)


@pytest.mark.thorough
@BOUNDS
@given(signature=st.text() | st.from_regex(r"[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+"), body=st.binary())
def test_whatever_text_comes_is_refused_and_nothing_worse(signature: str, body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        accept(signature, body)


@pytest.mark.thorough
@BOUNDS
@given(changes=HEADERS, body=st.binary(), made=st.binary(min_size=1, max_size=300))
def test_whatever_header_comes_without_the_key_is_refused(
    changes: dict[str, Any], body: bytes, made: bytes
) -> None:
    with pytest.raises(SignatureInvalid):
        accept(signed(HEADER | changes, body, lambda _: made), body)


@pytest.mark.thorough
@BOUNDS
@given(text=st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_whatever_comes_in_place_of_a_key_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(SignatureInvalid):
        public_key(text)


@pytest.mark.thorough
@BOUNDS
@given(place=st.integers(0, len(base64.b64decode(BASE64)) - 1), value=st.integers(1, 255))
def test_a_key_with_a_wrong_byte_is_never_the_key(place: int, value: int) -> None:
    der = bytearray(base64.b64decode(BASE64))
    der[place] ^= value
    with contextlib.suppress(SignatureInvalid):
        assert public_key(base64.b64encode(der).decode()) != PUBLIC
