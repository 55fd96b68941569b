from __future__ import annotations

from pathlib import Path

import pytest

from headwater.config import load, secret_free
from headwater.errors import SettingsError
from headwater.streams.settings import StreamsSettings


def from_toml(tmp_path: Path, text: str) -> StreamsSettings:
    file = tmp_path / "headwater.toml"
    file.write_text(text)
    return load(StreamsSettings, file=file).settings


def test_the_default_is_one_region_on_this_machine() -> None:
    settings = StreamsSettings()
    assert [(cloud.region, cloud.endpoint) for cloud in settings.clouds] == [
        ("RegionOne", ("http://127.0.0.1:5000/v3",))
    ]
    assert settings.products_name == "com.ubuntu.cloud-released-imagemetadata.json"


def test_an_endpoint_is_one_url_or_a_list_of_spellings(tmp_path: Path) -> None:
    settings = from_toml(
        tmp_path,
        """
        [[clouds]]
        region = "One"
        endpoint = "https://one.example:5000/v3"
        [[clouds]]
        region = "Two"
        endpoint = ["https://two.example/v3", "https://two.example", "https://two.example/v3"]
        """,
    )
    assert [cloud.endpoint for cloud in settings.clouds] == [
        ("https://one.example:5000/v3",),
        ("https://two.example/v3", "https://two.example"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'clouds = [{region="One", endpoint="http://a"}, {region="One", endpoint="http://b"}]',
            "the regions 'One' and 'One'",
        ),
        ('clouds = [{region="One", endpoint="http://a"}, {region="o NE", endpoint="http://b"}]', "the same to Juju"),
        ("clouds = []", "at least 1 item"),
        ('clouds = [{region="", endpoint="http://a"}]', "at least 1 character"),
        ('clouds = [{region="a\\nb", endpoint="http://a"}]', "printable"),
        ('clouds = [{region=" a", endpoint="http://a"}]', "blanks"),
        ('clouds = [{region="One", endpoint=[]}]', "at least 1 item"),
        ('clouds = [{region="One"}]', "missing"),
        ('clouds = [{region="One", endpoint="keystone:5000"}]', "URL such as"),
        ('clouds = [{region="One", endpoint="http://"}]', "URL such as"),
        ('clouds = [{region="One", endpoint="http://a:b/"}]', "URL such as"),
        ('clouds = [{region="One", endpoint="http://a/ b"}]', "URL such as"),
        ('clouds = [{region="One", endpoint="http://[a"}]', "URL such as"),
        ('clouds = [{region="One", endpoint="http://admin:hunter2@a/"}]', "must not hold a user name"),
        ('content_id = "../x"', "a content id is"),
        ('content_id = "index"', "a content id is"),
        ('content_id = ""', "a content id is"),
        ('content_id = "a/b"', "a content id is"),
        ('signing_key_password = "hunter2"', "signing_key is not"),
        ('signing_keys = "a"', "did you mean 'signing_key'"),
    ],
)
def test_a_wrong_setting_is_refused_in_a_sentence_without_secrets(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_toml(tmp_path, text)
    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_password_is_never_printed(tmp_path: Path) -> None:
    settings = from_toml(tmp_path, 'signing_key = "key.asc"\nsigning_key_password = "hunter2"')
    assert "hunter2" not in f"{settings!r} {secret_free(settings)}"
    assert secret_free(settings)["signing_key"] == "key.asc"


def test_every_key_says_what_it_is_for() -> None:
    assert all(field.description for field in StreamsSettings.model_fields.values())


def test_kinds_of_guest_are_words_of_the_image_api_or_of_juju(tmp_path: Path) -> None:
    assert StreamsSettings().virt_types == ("kvm",)
    assert from_toml(tmp_path, 'virt_types = ["qemu", "KVM", "lxc", "xen"]').virt_types == ("kvm", "lxd", "xen")
    assert from_toml(tmp_path, 'virt_types = "lxd"').virt_types == ("lxd",)


@pytest.mark.parametrize("value", ['[""]', "[]", '["kvm", "k:v"]', '"two words"'])
def test_a_kind_of_guest_that_is_no_word_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="virt_types"):
        from_toml(tmp_path, f"virt_types = {value}")


def test_files_are_listed_where_the_api_asks_for_no_proof_unless_the_settings_say_otherwise() -> None:
    assert [StreamsSettings().lists_files(proof) for proof in ("none", "basic", "keystone")] == [True, False, False]
    assert StreamsSettings(image_files=True).lists_files("keystone")
    assert not StreamsSettings(image_files=False).lists_files("none")


def test_the_content_id_of_image_files_is_taken() -> None:
    with pytest.raises(ValueError, match="another document of the feed, as images is"):
        StreamsSettings(content_id="images")
