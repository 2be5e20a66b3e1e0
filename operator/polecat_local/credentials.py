"""Certificates, keys and the administrator's token of one data directory: made once, then kept."""

import datetime
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from polecat_local.paths import make_private, write_private

VALID_DAYS = 3650
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Credentials:
    """Files under `<data dir>/pki`, all 0600.

    etcd takes only clients with a certificate of its own authority: other users of the machine, and the
    agents, reach its port too. The API server's certificate is good for serving only.
    """

    directory: Path
    admin_token: str

    def file(self, name: str) -> Path:
        """Path of one of them, such as `ca.crt`."""
        return self.directory / name

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, by which clients know the API server."""
        return self.file("ca.crt").read_text()


def ensure_credentials(data_dir: Path, addresses: Sequence[str] = ()) -> Credentials:
    """Gives what is there, or makes it anew; a set that was not finished is made anew as a whole.

    New certificates are good for these IP addresses as well as for loopback.
    """
    directory = make_private(data_dir / "pki", "certificate")
    # Written last, so that it tells that the rest is whole.
    token_file = directory / "tokens.csv"
    if not token_file.exists():
        _make_all(directory, addresses)
    admin_token = token_file.read_text().split(",", 1)[0]
    return Credentials(directory, admin_token)


def _make_all(directory: Path, addresses: Sequence[str]) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("polecat", ca_key, None, ca_key, [], [])
    _save(directory, "ca", ca, None)
    for name, usages in (("apiserver", [_SERVER]), ("etcd", [_SERVER, _CLIENT])):
        key = ec.generate_private_key(ec.SECP256R1())
        _save(directory, name, _certificate(name, key, ca.subject, ca_key, usages, addresses), key)
    service_account_key = ec.generate_private_key(ec.SECP256R1())
    write_private(directory / "service-account.key", _key_pem(service_account_key))
    write_private(
        directory / "service-account.pub",
        service_account_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
    # token,user,uid,groups: the API server's static token file.
    write_private(directory / "tokens.csv", f'{secrets.token_urlsafe(32)},admin,admin,"system:masters"\n')


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    usages: Sequence[x509.ObjectIdentifier],
    addresses: Sequence[str],
) -> x509.Certificate:
    """Self-signed authority when `issuer` is None, else a leaf for the loopback addresses and `addresses`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of a laptop may have been wrong a little when this was made.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(authority=issuer is None), critical=True)
    )
    if issuer is not None:
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc")]
        names += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1", "10.0.0.1", *addresses)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _save(directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None) -> None:
    write_private(directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    if key is not None:
        write_private(directory / f"{name}.key", _key_pem(key))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
