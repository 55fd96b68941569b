from __future__ import annotations

import resource
from pathlib import Path

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.service import Description, described
from headwater.instances.user_data import templates
from headwater.instances.user_data.errors import TemplateInvalid
from headwater.instances.user_data.templates import facts, rendered
from unit.instances.examples import WEB_1


def made(template: str) -> str:
    return rendered(template.encode(), facts(WEB_1)).decode()


def test_facts_of_the_instance_stand_in_what_is_rendered() -> None:
    text = "{{ hostname }} {{ local_ipv4 }} {{ meta.role }}{% for key in ssh_keys %} {{ key[:11] }}{% endfor %}\n"
    assert made(text) == "web-1.novalocal 10.0.0.5 webservers ssh-ed25519\n"
    assert made("{{ 'ä' | b64encode }} {{ network_data.links | length }}") == "w6Q= 2"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a\n{{ nobody }}", 2, "'nobody' is undefined"),
        ("a\n\n{{ meta.nothing }}", 3, "nothing"),
        ("{% if %}", 1, "line 1"),
        ("a\n{% for x in addresses %}\n", 2, "line 2"),
        ("a\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
        ("{{ ''.__class__ }}", 1, "unsafe"),
        ("{{ meta.update({}) }}", 1, "unsafe|not safely"),
        ("{% include 'x' %}", 1, "loader"),
        ("## template: jinja\n{{ hostname }}", 1, "lets cloud-init render"),
        (
            "{% for x in range(100000) %}{{ x }}{% for y in range(1000) %}aaaa{% endfor %}{% endfor %}",
            None,
            "more than",
        ),
    ],
)
def test_a_template_that_fails_is_refused_with_its_line(text: str, line: int | None, says: str) -> None:
    with pytest.raises(TemplateInvalid, match=says) as refused:
        made(text)
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ 'a' * 10**10 }}", "line 1: it needs more than 256 MiB of memory: repeat less"),
        ("{{ 'a' | center(10**9) }}", "of memory: repeat less"),
        ("{{ '%999999999d' % 1 }}", "of memory: repeat less"),
        ("{{ '{:>999999999}'.format(1) }}", "of memory: repeat less"),
        ("{{ range(99999) | join('a' * 9999) }}", "of memory: repeat less"),
        (
            "{% set n = namespace(x='a') %}\n{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "line 2: it needs more",
        ),
        ("{% set x %}{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}{% endset %}", "of memory: repeat less"),
        ("{{ 'a' * 2000000 }}", "renders to more than 1048576 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deep"),
        ("{{ " + "(" * 100_000 + "}}", "too deep"),
        ("{% if 1 %}" * 5000, "too deep"),
        ("{{ '\\ud800' }}", "half a character"),
        (" " * (1 << 21), "more than 1048576 bytes"),
    ],
    ids=lambda value: value[:30] if "{" in value else "",
)
def test_a_template_that_grows_without_end_is_refused_and_this_process_does_not_grow(text: str, says: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateInvalid, match=says):
        made(text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{{ 10 ** (10 ** 8) }}",
    ],
)
def test_a_template_that_does_not_end_is_ended(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_PROCESSOR_S", 1)
    with pytest.raises(TemplateInvalid, match="repeat less"):
        made(text)


def test_who_renders_learns_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit('the directory in which a command runs is not looked into')")
    monkeypatch.chdir(tmp_path)
    assert made("{{ name }}") == WEB_1.name


def test_the_file_of_a_template_is_named() -> None:
    with pytest.raises(TemplateInvalid, match=r"^user data, template web\.j2, line 1: .*; nothing is registered$"):
        rendered(b"{{ nobody }}", {}, "web.j2")


def test_a_template_that_is_no_text_is_refused() -> None:
    with pytest.raises(TemplateInvalid, match="line 2"):
        rendered(b"a\n\xff", facts(WEB_1))


def test_user_data_is_what_the_template_makes_of_the_rest() -> None:
    said = Description(
        name="Web 1", addresses=("10.0.0.5",), user_data_template=b"#cloud-config\nfqdn: {{ hostname }}\n"
    )
    assert described(said).user_data == b"#cloud-config\nfqdn: web-1\n"


def test_what_is_wrong_with_the_rest_is_told_before_what_is_wrong_with_the_template() -> None:
    with pytest.raises(InstanceInvalid):
        described(Description(name="web", hostname="a b", user_data_template=b"{{ nobody }}"))
