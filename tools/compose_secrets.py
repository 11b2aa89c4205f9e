"""Makes the secrets that docker-compose.yml mounts: `python tools/compose_secrets.py [FOLDER]`.

An authority for this installation only, certificates of the decision services, the console and OPA, bearer tokens for
the enforcement point and the console, the key of the digests, a development issuer, PostgreSQL's password. What exists
stays. The folder is closed to others; the files in it are readable, because the containers' account is another than
yours.
"""

from __future__ import annotations

import ipaddress
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from airlock.issuer import DevelopmentIssuer
from decision.clock import SystemClock

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "secrets"
DAYS = 825
HOSTS = {"decision": ("decision-1", "decision-2"), "console": ("console",), "opa": ("opa",)}
"""Whose certificates, and the names in them."""
CALLERS = ("proxy", "console")


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o444)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
    )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority, made if there is none. Its key is for this script only."""
    certificate, key_file = folder / "ca.crt", folder / "ca.key"
    if certificate.exists() and key_file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(certificate.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        builder("airlock compose authority", "airlock compose authority", key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    key_file.write_bytes(pem(key))
    key_file.chmod(0o400)
    write(certificate, made.public_bytes(Encoding.PEM))
    return made, key


def server_certificate(
    folder: Path, service: str, issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(host) for host in (*HOSTS[service], "localhost")]
    alternatives = [*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        builder(service, "airlock compose authority", key)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, SHA256())
    )
    assert issuer.subject == made.issuer
    write(folder / f"{service}.key", pem(key))
    write(folder / f"{service}.crt", made.public_bytes(Encoding.PEM))


def make(folder: Path) -> None:
    """Every secret that is not there yet."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    certificate, key = authority(folder)
    for service in HOSTS:
        if not (folder / f"{service}.crt").exists():
            server_certificate(folder, service, certificate, key)
    for caller in CALLERS:
        if not (folder / f"{caller}.token").exists():
            write(folder / f"{caller}.token", secrets.token_hex(32).encode())
    if not (folder / "digest.key").exists():
        write(folder / "digest.key", secrets.token_bytes(32))
    DevelopmentIssuer(folder, SystemClock()).settings()
    (folder / "issuer" / "jwks.json").chmod(0o444)
    if not (folder / "postgres.password").exists():
        password = secrets.token_urlsafe(24)
        write(folder / "postgres.password", password.encode())
        write(folder / "upstream_shop.dsn", f"postgresql://postgres:{password}@postgres:5432/shop".encode())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    make(target)
    print(f"secrets in {target}")
