"""``headwater instance import`` takes a file of machines whole, or leaves everything as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from headwater import distribution
from needs import not_run


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def take(service: HeadwaterProcess, text: str, *more: str) -> tuple[int, str, str]:
    (service.directory / "machines.yaml").write_text(text)
    done = service.command("instance", "import", service.directory / "machines.yaml", *more)
    return done.returncode, done.stdout, done.stderr


def export(service: HeadwaterProcess) -> str:
    done = service.command("instance", "export")
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(service: HeadwaterProcess) -> list[str]:
    return [each["name"] for each in json.loads(service.command("instance", "list", "--json").stdout)]


def test_machines_are_answered_at_once_and_come_out_as_they_went_in(service: HeadwaterProcess) -> None:
    text = "".join(f"- {{name: m{n:03}, addresses: [10.9.0.{n}], user_data: of {n}}}\n" for n in range(1, 200))
    text += "- {name: self, addresses: [127.0.0.1], user_data: mine}\n"
    assert take(service, text)[:2] == (0, "200 added, 0 changed, 0 unchanged\n")
    assert httpx.get(f"{service.metadata_url}/latest/user-data").text == "mine"
    written = export(service)
    assert take(service, written, "--replace")[1] == "0 added, 0 changed, 200 unchanged\n"
    for name in names(service):
        assert service.command("instance", "remove", name).returncode == 0 if name == "self" else True
    assert take(service, written, "--replace")[1] == "1 added, 0 changed, 199 unchanged\n"
    assert export(service) == written


def test_one_bad_record_leaves_all_out_and_each_bad_one_is_named(service: HeadwaterProcess) -> None:
    assert service.command("instance", "add", "--name", "taken", "--address", "10.0.0.1").returncode == 0
    text = """\
- {name: fine}
- {name: other, addresses: [10.0.0.1]}
- {name: taken}
- {name: imaged, image: nowhere}
- {name: shapeless, addresses: [10.0.0.300]}
"""
    code, out, err = take(service, text)
    assert (code != 0, out) == (True, "")
    assert "4 of 5 records" in err
    assert "record 2 (line 2, 'other'): " in err
    assert "record 5 (line 5, 'shapeless'): " in err
    assert "record 3 (line 3, 'taken'): 'taken' (" in err
    assert "record 4 (line 4, 'imaged'): no image has the id or name 'nowhere'" in err
    assert names(service) == ["taken"]
    code, _, err = take(service, "- {name: fine}\n- {name: other, addresses: [10.0.0.1]}", "--replace")
    assert (code != 0, "1 of 2 records" in err, "record 2 (line 2, 'other')" in err) == (True, True, True)
    assert names(service) == ["taken"]


def test_a_dry_run_judges_and_does_nothing(service: HeadwaterProcess) -> None:
    assert service.command("instance", "add", "--name", "there", "--address", "10.0.0.1").returncode == 0
    text = "- {name: new}\n- {name: there, addresses: [10.0.0.2]}\n"
    code, out, _ = take(service, text, "--replace", "--dry-run", "--json")
    told = json.loads(out)
    assert (code, told["dry_run"], [each["name"] for each in told["added"]]) == (0, True, ["new"])
    assert [each["name"] for each in told["changed"]] == ["there"]
    assert names(service) == ["there"]
    assert "addresses: [10.0.0.1]" in export(service).replace("\n  - 10.0.0.1", " [10.0.0.1]")
    assert take(service, "- {name: x, addresses: [10.0.0.1]}", "--dry-run")[0] != 0


def test_an_address_moves_from_one_machine_to_another_in_one_file(service: HeadwaterProcess) -> None:
    assert take(service, "- {name: a, addresses: [127.0.0.1]}\n- {name: b, addresses: [10.0.0.2]}\n")[0] == 0
    moved = "- {name: a, addresses: [10.0.0.2]}\n- {name: b, addresses: [127.0.0.1]}\n"
    assert take(service, moved, "--replace")[1] == "0 added, 2 changed, 0 unchanged\n"
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/hostname").text == "b"


def test_a_change_keeps_what_a_file_cannot_say(service: HeadwaterProcess) -> None:
    assert take(service, "- {name: a, meta: {x: '1'}}")[0] == 0
    before = json.loads(service.command("instance", "show", "a", "--json").stdout)
    assert take(service, "- {name: a, meta: {x: '2'}}", "--replace")[0] == 0
    after = json.loads(service.command("instance", "show", "a", "--json").stdout)
    assert (after["meta"], after["revision"]) == ({"x": "2"}, before["revision"] + 1)
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])


def test_files_come_out_as_they_went_in_and_go_with_a_record_that_has_none(service: HeadwaterProcess) -> None:
    text = '- {name: a, files: [{path: /z, content: "a\\nb\\n"}, {path: /a, content_base64: /w==}]}'
    assert take(service, text)[0] == 0
    assert take(service, export(service), "--replace")[1] == "0 added, 0 changed, 1 unchanged\n"
    _, told, _ = take(service, "- {name: a}", "--replace", "--dry-run")
    assert '["/z (4 bytes)", "/a (1 bytes)"] -> []' in told
    assert take(service, "- {name: a}", "--replace")[1] == "0 added, 1 changed, 0 unchanged\n"
    assert "files" not in export(service)


def test_two_records_of_one_machine_are_refused(service: HeadwaterProcess) -> None:
    assert take(service, "- {name: a, addresses: [127.0.0.1]}")[0] == 0
    (known,) = json.loads(service.command("instance", "list", "--json").stdout)
    text = f"- {{name: new, id: {known['id']}, addresses: [10.0.0.2]}}\n- {{name: a, addresses: [10.0.0.3]}}\n"
    code, _, err = take(service, text, "--replace")
    assert (code != 0, "record 2 (line 2, 'a'): it means 'a'" in err) == (True, True), err
    assert names(service) == ["a"]
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/hostname").text == "a"


def test_a_machine_whose_image_is_gone_stays_as_it_is(service: HeadwaterProcess) -> None:
    with httpx.Client(base_url=service.images_url) as http:
        made = http.post("/v2/images", json={"name": "base"}).json()["id"]
        assert take(service, "- {name: a, image: base, availability_zone: null}")[0] == 0
        assert http.delete(f"/v2/images/{made}").status_code == 204
    written = export(service)
    as_json = service.command("instance", "export", "--json").stdout
    for each in (written, as_json):
        assert take(service, each, "--replace")[1] == "0 added, 0 changed, 1 unchanged\n"
    assert export(service) == written


def test_a_file_that_is_not_there_is_named(service: HeadwaterProcess) -> None:
    done = service.command("instance", "import", "/nowhere.yaml")
    assert done.returncode == 2
    assert "cannot read the file '/nowhere.yaml'" in done.stderr


def domain(service: HeadwaterProcess, inside: str, *more: str) -> tuple[int, str, str]:
    uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"
    (service.directory / "domain.xml").write_text(f"<domain><name>web1</name><uuid>{uuid}</uuid>{inside}</domain>")
    done = service.command("instance", "import", "--libvirt", service.directory / "domain.xml", *more)
    return done.returncode, done.stdout, done.stderr


def interface(address: str) -> str:
    mac = "<mac address='52:54:00:00:00:01'/>"
    return f"<devices><interface>{mac}<ip address='{address}' prefix='8'/></interface></devices>"


def test_a_domain_of_libvirt_is_answered_and_changes_what_it_says_alone(service: HeadwaterProcess) -> None:
    assert domain(service, interface("127.0.0.1"))[:2] == (0, "1 added, 0 changed, 0 unchanged\n")
    read = httpx.get(f"{service.metadata_url}/openstack/latest/network_data.json").json()
    assert read["networks"][0]["ip_address"] == "127.0.0.1"
    assert service.command("instance", "set", "web1", "--user-data", "by hand").returncode == 0
    assert domain(service, interface("127.0.0.1"))[:2] == (0, "0 added, 0 changed, 1 unchanged\n")
    code, out, _ = domain(service, interface("127.0.0.2"), "--dry-run")
    assert (code, out.splitlines()[:2]) == (
        0,
        [
            "0 added, 1 changed, 0 unchanged (nothing was done: --dry-run)",
            '  web1: addresses: ["127.0.0.1"] -> ["127.0.0.2"]',
        ],
    )
    code, out, _ = domain(service, "", "--json")  # a domain without interfaces gives up no address
    assert (code, list(json.loads(out)["changed"][0]["fields"])) == (0, ["devices"])
    assert httpx.get(f"{service.metadata_url}/latest/user-data").text == "by hand"


def test_the_domains_of_a_libvirt_that_runs_are_taken_with_their_addresses(service: HeadwaterProcess) -> None:
    try:
        distribution.module("libvirtmod")
    except ImportError as error:
        if "another Python" in str(error):
            pytest.skip(str(error))
        not_run("the module libvirt", "install python3-libvirt")
    arguments = ("instance", "import", "--libvirt-uri", "test:///default")  # libvirt's own driver for tests
    assert service.command(*arguments).stdout == "1 added, 0 changed, 0 unchanged\n"
    assert service.command(*arguments).stdout == "0 added, 0 changed, 1 unchanged\n"
    (found,) = json.loads(service.command("instance", "list", "--json").stdout)
    assert (found["name"], found["addresses"], found["instance_type"]) == ("test", ["192.168.122.3"], "2cpu-8192mib")
    assert [each.get("tags") for each in found["devices"]] == [["default"], []]
    done = service.command("instance", "import", "--libvirt-uri", "nonsense:///x")
    assert (done.returncode != 0, "does not tell its domains" in done.stderr) == (True, True), done.stderr


def test_sources_of_two_kinds_are_refused(service: HeadwaterProcess) -> None:
    for arguments in ((), ("a.yaml", "b.yaml"), ("a.xml", "--libvirt-uri", "test:///default")):
        done = service.command("instance", "import", *arguments)
        assert (done.returncode, "nothing was changed" in done.stderr) == (2, True), done.stderr
