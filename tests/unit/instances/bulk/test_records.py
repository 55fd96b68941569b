"""A file of machines is read whole: what is right with what it means, what is wrong with its place."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.bulk.records import FileUnreadable, RecordsWrong, read, written
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import File, Instance
from unit.instances.examples import KEY

ID = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"


def one(text: str) -> Instance:
    (record,) = read(text.encode())
    return record.instance


def test_a_record_says_what_the_command_line_says() -> None:
    found = one(f"""
- name: web1
  id: {ID.upper()}
  hostname: web1.example.org
  project_id: blue
  addresses: ["10.0.0.5", "2001:DB8::5"]
  ssh_keys: ["{KEY}"]
  user_data: |
    #cloud-config
    hostname: wörld
  vendor_data: {{cloud-init: "#cloud-config"}}
  network_data: {{links: [], networks: [], services: []}}
  meta: {{role: db}}
  instance_type: m1
  availability_zone: attic
  tokens: required
  hop_limit: 2
  files:
  - {{path: /etc/motd, content: wörld}}
  - {{path: /etc/key, content_base64: AP8=}}
""")
    assert (found.id, found.name, found.hostname, found.project_id) == (ID, "web1", "web1.example.org", "blue")
    assert found.addresses == ("10.0.0.5", "2001:db8::5")
    assert [key.data for key in found.keys] == [KEY]
    assert found.user_data == "#cloud-config\nhostname: wörld\n".encode()
    assert (found.vendor_data, found.meta) == ({"cloud-init": "#cloud-config"}, {"role": "db"})
    assert (found.instance_type, found.availability_zone) == ("m1", "attic")
    assert (found.tokens, found.hop_limit) == ("required", 2)
    assert found.files == (
        File(path="/etc/motd", data="wörld".encode()),
        File(path="/etc/key", data=b"\x00\xff"),
    )


def test_the_list_may_have_a_name_and_records_may_share_what_they_have_alike() -> None:
    first, second = read(b"instances:\n- &a {name: a, meta: {role: db}}\n- {<<: *a, name: b}\n")
    assert (first.instance.name, second.instance.name, dict(second.instance.meta)) == ("a", "b", {"role": "db"})
    assert read(b"[]") == []


def test_all_that_is_wrong_is_told_with_its_place() -> None:
    text = f"""\
- name: right
- name: web2
  adress: 10.0.0.5
- {{name: web3, addresses: [10.0.0.999]}}
- just a text
- name: 5
- {{name: web4, user_data: a, user_data_base64: YQ==}}
- {{name: web5, user_data_base64: "%"}}
- {{name: web6, id: {ID}, addresses: ["10.0.0.7"]}}
- {{name: web7, id: {ID}, addresses: ["::ffff:10.0.0.7"]}}
- name: right
"""
    with pytest.raises(RecordsWrong) as caught:
        read(text.encode())
    faults = [(place.number, place.line, place.name, problem) for place, problem in caught.value.faults]
    said = "\n".join(map(str, faults))
    assert [fault[0] for fault in faults] == [2, 3, 4, 5, 6, 7, 9, 9, 10], said
    assert [fault[1] for fault in faults][:3] == [2, 4, 5]
    for number, words in (
        (2, "'adress'; addresses may be meant (a record has name,"),
        (3, "10.0.0.999"),
        (4, "object"),
        (5, "`$.name`"),
        (6, "one of them"),
    ):
        assert any(fault[0] == number and words in fault[3] for fault in faults), (number, said)
    assert "the address 10.0.0.7 is that of record 8 (line 9, 'web6')" in said
    assert "the name right is that of record 1 (line 1, 'right')" in said
    assert str(caught.value).startswith("8 of 10 records cannot be taken, so nothing was changed:\n  record 2 (line 2")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "neither a list"),
        (b"name: web1", "neither a list"),
        (b"instances: {name: web1}", "neither a list"),
        (b"- {name: a, name: b}", "'name' stands twice (line 1)"),
        (b"- name: a\n  meta: {x: 1,\n", "no YAML"),
        (b"- !!python/object/apply:os.system ['true']", "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
        (b"[" * 5000, "nested too deeply"),
        (b"- name: a\n---\n- name: b\n", "no YAML"),
    ],
)
def test_what_is_no_list_of_records_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        read(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("mac", "network_data, in which links have ethernet_mac_address may be meant"),
        ("ip", "addresses may be meant"),
        ("host-name", "hostname may be meant"),
        ("Meta_Data", "meta may be meant"),
        ("userdata", "user_data may be meant"),
        ("flavor", "instance_type may be meant"),
        ("personality", "files may be meant"),
        ("qqq", ""),
        ("3", ""),
    ],
)
def test_a_field_that_is_not_known_is_told_with_the_one_that_is_meant_and_all_there_are(field: str, meant: str) -> None:
    with pytest.raises(RecordsWrong) as caught:
        read(f"- {{name: a, {field}: x}}".encode())
    [(_, problem)] = caught.value.faults
    assert problem.startswith(
        f"there is no field '{field}'{'; ' if meant else ''}{meant} (a record has name, id, hostname,"
    )
    assert problem.endswith("tokens, hop_limit, files)")
    assert ("may be meant" in problem) == bool(meant)


def test_a_word_that_is_none_of_a_few_is_told_with_them() -> None:
    with pytest.raises(RecordsWrong, match=r"'always' - at `\$.tokens`; it is one of optional, required$"):
        read(b"- {name: a, tokens: always}")


def test_aliases_within_a_record_are_not_written_out_without_end() -> None:
    lines = ["- name: a", "  vendor_data:", "    a0: &a0 [x]"]
    lines += [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(FileUnreadable, match=r"aliases \(\*\) grow beyond all bounds \(line 10\)"):
        read("\n".join(lines).encode())
    with pytest.raises(RecordsWrong):
        read(b"- &a {name: a, vendor_data: *a}")
    shared = b"- {name: a, vendor_data: &v {x: [1, 2]}}\n- {name: b, vendor_data: *v}\n"
    assert [each.instance.vendor_data for each in read(shared)] == [{"x": [1, 2]}] * 2


@pytest.mark.parametrize("name", ["123", "yes", "2026-11-27", "1.5"], ids=["int", "bool", "date", "float"])
def test_a_text_that_yaml_takes_for_something_else_wants_quotes(name: str) -> None:
    with pytest.raises(RecordsWrong, match=r"at `\$.name`; YAML reads .* so: write texts in quotes"):
        read(f"- {{name: {name}}}".encode())
    with pytest.raises(RecordsWrong) as caught:
        read(b"- {name: [a]}")
    assert "quotes" not in str(caught.value)


@pytest.mark.parametrize("number", [".nan", "-.inf", "[{b: .inf}]"], ids=["nan", "infinite", "within"])
def test_a_number_that_json_lacks_does_not_become_null(number: str) -> None:
    with pytest.raises(RecordsWrong, match="is no number of JSON"):
        read(f"- {{name: a, vendor_data: {{a: {number}}}}}".encode())


def test_lines_that_repeat_each_other_nine_times_end_soon() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(FileUnreadable):
        read("\n".join(lines).encode())


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20),
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=9),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    ),
)
def test_what_is_written_reads_back_the_same(name: str, user_data: bytes, meta: dict[str, str]) -> None:
    try:
        before = dataclasses.replace(one("[{name: x}]"), name=name, user_data=user_data, meta=meta)
    except InstanceInvalid:
        return
    after = one("".join(written(iter([before]))))
    same = dataclasses.replace(after, created_at=before.created_at, updated_at=before.updated_at)
    assert same == before


def test_a_public_address_is_read_and_written() -> None:
    found = one("[{name: x, public_ipv4: 203.0.113.9}]")
    assert found.public_ipv4 == "203.0.113.9"
    assert one("".join(written(iter([found])))).public_ipv4 == "203.0.113.9"
    with pytest.raises(RecordsWrong, match=r"203\.0\.113\.300' is no IPv4"):
        one("[{name: x, public_ipv4: 203.0.113.300}]")


@given(
    st.lists(
        st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")), max_size=5
    )
)
def test_files_that_are_written_read_back_the_same(contents: list[bytes]) -> None:
    files = tuple(File(path=f"/f{9 - number}", data=data) for number, data in enumerate(contents))
    before = dataclasses.replace(one("[{name: x}]"), files=files)
    assert one("".join(written(iter([before])))).files == files


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("{path: /a}", r"files\[0\]: give either content, a text, or content_base64"),
        ("{path: /a, content: b, content_base64: YQ==}", r"files\[0\]: give either content, a text, or content_base64"),
        ("{path: /a, content_base64: '%'}", r"files\[0\].content_base64 is no base64"),
        ("{path: /a, data: YQ==}", r"unknown field `data` - at `\$.files\[0\]`"),
        ("{content: a}", r"missing required field `path` - at `\$.files\[0\]`"),
        ("{path: a, content: a}", r"file path: 'a' must begin with '/'"),
        ("{path: /a, content: 7}", r"at `\$.files\[0\].content`; YAML reads .* so: write texts in quotes"),
        ("7", r"at `\$.files\[0\]`"),
        (r'{path: /a, content: "\ud800"}', r"files\[0\].content holds what is no Unicode; give .*_base64 in its place"),
    ],
    ids=["nothing", "both", "no-base64", "other-key", "no-path", "relative", "number", "no-mapping", "surrogate"],
)
def test_a_file_of_a_record_that_cannot_be_is_told_with_its_place(file: str, says: str) -> None:
    with pytest.raises(RecordsWrong, match=says):
        read(f"- {{name: a, files: [{file}]}}".encode())


def test_user_data_that_is_no_unicode_is_told_with_its_place() -> None:
    with pytest.raises(RecordsWrong, match=r"record 1 \(line 1, 'a'\): user_data holds what is no Unicode"):
        read(rb'- {name: a, user_data: "\ud800"}')


def test_a_text_of_lines_is_written_as_people_write_it() -> None:
    text = "".join(written(iter([one('[{name: x, user_data: "#cloud-config\\na: b\\n"}]')])))
    assert "  user_data: |\n    #cloud-config\n    a: b\n" in text
    assert yaml.safe_load(text)["instances"][0]["user_data"] == "#cloud-config\na: b\n"


def test_a_mapping_of_many_keys_that_merges_none_is_taken() -> None:
    many = ", ".join(f"k{number}: v" for number in range(30_000))
    [record] = read(f"- {{name: a, meta: {{{many}}}}}".encode())
    assert len(record.instance.meta) == 30_000
