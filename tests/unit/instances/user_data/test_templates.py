from __future__ import annotations

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.service import Description, described
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
