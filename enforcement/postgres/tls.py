"""TLS for clients: the certificate given in the settings, or a development certificate made on first start."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from decision.model.errors import SettingsError
from decision.model.ports import Clock
from enforcement.config import DEFAULT_ROOT, EnforcementSettings

DAYS = 825
RENEW_BEFORE_DAYS = 30
ALPN = "postgresql"


def server_context(settings: EnforcementSettings, clock: Clock) -> ssl.SSLContext:
    """Raises SettingsError when the certificate or key can't be used."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        certificate, key = development_certificate(settings.data_dir, clock)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the TLS certificate {certificate} with key {key} can't be used: {type(error).__name__}",
            hint="give a PEM certificate chain and its key by tls_certificate and tls_key",
        ) from error
    return context


def development_certificate(folder: Path, clock: Clock) -> tuple[Path, Path]:
    """A self-signed certificate for localhost in `folder`, made when there is none or it is about to end."""
    certificate, key = folder / "development-certificate.pem", folder / "development-key.pem"
    now = datetime.datetime.fromtimestamp(clock.time_unix_nano() / 1e9, tz=datetime.UTC)
    if certificate.exists() and key.exists():
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if ends - now > datetime.timedelta(days=RENEW_BEFORE_DAYS):
            return certificate, key
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(key, secret, 0o600)
    write_atomically(certificate, self_signed(private, now).public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def self_signed(private: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Airlock development certificate")])
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    staging = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    staging.chmod(mode)
    staging.replace(path)


def upstream_context(parts: Mapping[str, str]) -> ssl.SSLContext:
    """The context for an upstream connection with libpq's parameters `parts`.

    As with libpq, `sslmode=require` with an `sslrootcert` verifies the authority. Raises OSError or ssl.SSLError for
    files that can't be read.
    """
    mode, root = parts.get("sslmode", "prefer"), parts.get("sslrootcert", "")
    verified = mode in ("verify-ca", "verify-full") or (mode == "require" and bool(root))
    if root == "system":
        context = ssl.create_default_context()
    elif verified:
        context = ssl.create_default_context(cafile=root or DEFAULT_ROOT.expanduser())
        # Python 3.13 would refuse private authorities whose certificates lack extensions that libpq does not ask for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if verified:
        context.check_hostname = mode == "verify-full"
    if parts.get("sslcert"):
        context.load_cert_chain(parts["sslcert"], parts["sslkey"], parts.get("sslpassword", ""))
    return context
