"""A self-signed certificate for as long as a sandbox runs."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

LIFETIME = timedelta(days=365)


class Certificate:
    """A new ECDSA key with its self-signed certificate.

    :param host: a further name or IP address to certify, beside those of the loopback
    """

    def __init__(self, host: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="workflows-sandbox-"))
        self.ca_file = self._folder / "certificate.pem"
        key_file = self._folder / "key.pem"
        try:
            certificate, key = _self_signed(host)
            self.ca_file.write_bytes(certificate)
            key_file.touch(mode=0o600)
            key_file.write_bytes(key)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.ca_file, key_file)
            key_file.unlink()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the file ``ca_file``."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _self_signed(host: str) -> tuple[bytes, bytes]:
    # Imported here because it takes a while and only TLS needs it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Workflows sandbox")])
    now = datetime.now(timezone.utc)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day of grace, for clocks of containers that are not quite alike.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        # Python 3.13 checks strictly by default, and then wants this extension.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _names(host: str) -> list[x509.GeneralName]:
    return [_name(name) for name in dict.fromkeys(("localhost", "127.0.0.1", "::1", host))]


def _name(name: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
