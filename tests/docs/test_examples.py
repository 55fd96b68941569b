"""Every example starts."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from needs import CHECKOUT


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in sorted((CHECKOUT / "examples").glob("*.toml"))])
def test_a_service_starts_with_the_settings_of_the_example(tmp_path: Path, name: str) -> None:
    toml = (CHECKOUT / "examples" / name).read_text()
    service = HeadwaterProcess(tmp_path, toml=toml, workers=None)  # its addresses are the only thing that we change
    service.start()
    try:
        assert httpx.get(f"{service.images_url}/healthcheck").text == "OK"
        assert httpx.get(f"{service.images_url}/simplestreams/images/streams/v1/index.json").status_code == 200
    finally:
        assert service.stop() == 0
