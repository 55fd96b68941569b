"""What the files of TLS may hold, and what is said of those that do not do."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path

import pytest

from headwater.config import Section, load
from headwater.errors import SettingsError
from headwater.server.edge.certificates import Certificate, TlsSettings, check
from headwater.server.settings import Settings
from servers.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> dict[str, Path]:
    found = {"ca": authority.file, "pair": authority.certificate(), "junk": tmp_path / "j", "locked": tmp_path / "l"}
    found["junk"].write_text("junk")
    found["odd"] = tmp_path / "odd"
    found["odd"].write_text("-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n")
    ends = ["-in", str(found["pair"]), "-out", str(found["locked"])]
    words = ["openssl", "pkey", *ends, "-aes256", "-passout", "pass:secret"]
    subprocess.run(words, check=True, capture_output=True)
    return found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"certificate": "absent"}, "key 'certificate': absent cannot be read: No such file or directory"),
        ({"certificate": "junk"}, "key 'certificate': {junk} holds no certificate (PEM)"),
        ({"certificate": "odd"}, "key 'certificate': {odd} holds no certificate (PEM)"),
        ({"certificate": "ca"}, "key 'key': {ca} holds no private key (PEM)"),
        ({"certificate": "ca", "key": "pair"}, "key 'key': {pair} is not the key of the certificate in {ca}"),
        (
            {"certificate": "pair", "key": "locked"},
            "key 'key': {locked} is locked by a password, which nobody here can type: give a key without one",
        ),
        ({"certificate": "pair", "client_ca": "junk"}, "key 'client_ca': {junk} holds no certificate (PEM)"),
        ({"certificate": "pair", "client_ca": "absent"}, "key 'client_ca': absent holds no certificate (PEM)"),
    ],
)
def test_a_file_that_does_not_do_is_named(files: dict[str, Path], given: dict[str, str], said: str) -> None:
    settings = TlsSettings.model_validate({key: files.get(name, Path(name)) for key, name in given.items()})
    with pytest.raises(SettingsError) as refused:
        check(settings, "server.tls")
    assert str(refused.value) == f"section [server.tls], {said.format(**files)}"


def test_a_key_without_a_certificate_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "headwater.toml"
    file.write_text('[server.metadata_tls]\nkey = "x"\n')
    with pytest.raises(SettingsError, match="key 'metadata_tls': 'key' is set without 'certificate'"):
        load(Settings, file=file)


def test_a_key_that_others_may_read_is_told(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    file = authority.certificate()
    settings = TlsSettings(certificate=file)
    file.chmod(0o600)
    check(settings, "server.tls")
    assert caplog.records == []
    file.chmod(0o640)
    check(settings, "server.tls")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert vars(record)["path"] == str(file)


def test_the_days_that_are_left_pass(authority: Authority) -> None:
    settings = TlsSettings(certificate=authority.certificate())
    assert 0.99 < Certificate(settings, "server.tls").days_left <= 1
    later = Certificate(settings, "server.tls", wall=lambda: time.time() + 3 * 86400)
    assert -2.01 < later.days_left <= -2


def test_sections_say_what_urls_of_their_listener_begin_with() -> None:
    assert issubclass(TlsSettings, Section)
    assert (TlsSettings().scheme, TlsSettings(certificate=Path("x")).scheme) == ("http", "https")
