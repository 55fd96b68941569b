"""The program of systemd that ``importctl`` and ``machinectl`` let fetch images reads ours, and refuses what is not."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.streams.gnupg import GnuPG
from functional.users import proof, users_file
from needs import CHECKOUT

# Where it looks for keys is fixed: it sees a directory of ours there, and nobody else does.
WITH_KEYS = 'mount --bind "$0" /etc/systemd && exec "$@"'
IMAGE = b"a release" * 100_000


@dataclass(frozen=True)
class Pull:
    program: Path
    environment: dict[str, str]


@pytest.fixture(scope="module", params=["distribution", "newest"])
def systemd_pull(request: pytest.FixtureRequest) -> Pull:
    """The program, and what it needs to run; skips where it does not run here."""
    name = "systemd-container" if request.param == "distribution" else f"systemd-{request.param}"
    unpacked = CHECKOUT / ".cache" / name
    program = next((path for path in unpacked.rglob("systemd-pull") if path.is_file()), unpacked / "systemd-pull")
    libraries = ":".join(str(path.parent) for path in unpacked.rglob("libsystemd-shared-*.so"))
    made = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries}
    if not Path("/etc/systemd").is_dir():
        pytest.skip("this machine has no /etc/systemd to lay keys into")
    commands: tuple[list[str | Path], ...] = ([program, "--version"], ["unshare", "-rm", "true"])
    for command in commands:
        try:
            done = subprocess.run(command, env=made, capture_output=True, text=True, timeout=60, check=False)
        except FileNotFoundError:
            pytest.skip(f"there is no {Path(command[0]).name} ({unpacked.relative_to(CHECKOUT)})")
        if done.returncode:
            pytest.skip(f"{Path(command[0]).name} does not run on this machine: {done.stderr}")
    return Pull(program, made)


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    for name in ("site", "stranger"):
        made.make_key(name, "ed25519")
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


def test_it_fetches_an_image_that_its_key_has_signed_and_no_other(
    systemd_pull: Pull, fresh_headwater: FreshHeadwater, gnupg: GnuPG, tmp_path: Path
) -> None:
    key = gnupg.secret_key("site")
    users = users_file(tmp_path, root=("r", "admin"))
    toml = f'{users}\n[images]\nhash_algorithm = "sha256"\n[streams]\nimage_files = true\nsigning_key = "{key}"\n'
    service = fresh_headwater(toml=toml)
    document = {"name": "os-20260705", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    with httpx.Client(base_url=service.images_url, headers=proof("root"), timeout=60) as http:
        image = http.post("/v2/images", json=document).raise_for_status().json()
        octets = {"Content-Type": "application/octet-stream"}
        http.put(f"/v2/images/{image['id']}/file", content=IMAGE, headers=octets).raise_for_status()
        below = "/streams/public/r/families/os"
        (line,) = http.get(f"{below}/SHA256SUMS").raise_for_status().text.splitlines()
    url = f"{service.images_url}{below}/{line.partition('*')[2]}"

    def pull(name: str, signer: str) -> subprocess.CompletedProcess[str]:
        keys, place = tmp_path / f"keys-{name}", tmp_path / "machines"
        keys.mkdir()
        place.mkdir(exist_ok=True)
        for file in ("import-pubring.gpg", "import-pubring.pgp"):
            (keys / file).write_bytes(gnupg.keyring(signer).read_bytes())
        in_a_room_of_its_own: list[str | Path] = ["unshare", "-rm", "sh", "-c", WITH_KEYS, keys]
        words: list[str | Path] = [
            systemd_pull.program,
            "raw",
            "--verify=signature",
            f"--image-root={place}",
            url,
            name,
        ]
        for _ in range(5):  # 252 may wait for ever when the image is there before the list of sums, and all is answered
            with contextlib.suppress(subprocess.TimeoutExpired):
                return subprocess.run(
                    [*in_a_room_of_its_own, *words],
                    env=systemd_pull.environment,
                    capture_output=True,
                    text=True,
                    timeout=20,
                    check=False,
                )
        raise AssertionError("it stood still five times")

    done = pull("ours", "site")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "machines" / "ours.raw").read_bytes() == IMAGE
    refused = pull("theirs", "stranger")
    assert refused.returncode != 0
    assert "ignature verification failed" in refused.stderr, refused.stderr
    assert not (tmp_path / "machines" / "theirs.raw").exists()
