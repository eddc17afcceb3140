"""Certificates for TLS tests, made by the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

# `openssl ca` is the way to give dates that all versions of the command know.
_AUTHORITY = """
[ca]
default_ca = authority
[authority]
database = {folder}/database
serial = {folder}/serial
new_certs_dir = {folder}
policy = policy
default_md = sha256
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
subjectKeyIdentifier = hash
subjectAltName = {name}
"""


def self_signed(
    folder: Path, *, name: str = "IP:127.0.0.1", expired: bool = False
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a new certificate for `name`, and a client's context that trusts it.

    Skips the test where there is no `openssl` command.
    """
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    key, request, certificate = (folder / file for file in ("key.pem", "request.pem", "certificate.pem"))
    (folder / "database").write_text("")
    (folder / "serial").write_text("01\n")
    (folder / "authority.cnf").write_text(_AUTHORITY.format(folder=folder, name=name))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-new", *curve, "-subj", "/CN=digestd test", "-keyout", key, "-out", request)
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z" if expired else "20991231000000Z"]
    signing: list[str | Path] = [
        "-selfsign",
        "-config",
        folder / "authority.cnf",
        "-keyfile",
        key,
        "-in",
        request,
    ]
    _openssl("ca", "-batch", "-notext", *signing, *dates, "-out", certificate)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


def encrypted_key(folder: Path, password: str) -> Path:
    """The key that :func:`self_signed` made in `folder`, in a file that `password` opens."""
    path = folder / "encrypted.pem"
    _openssl("pkey", "-in", folder / "key.pem", "-aes256", "-passout", f"pass:{password}", "-out", path)
    return path


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
