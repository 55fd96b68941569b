from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwater.instances.boot_log.entries import Entry, Report
from headwater.instances.boot_log.verdict import SILENCE_US, Verdict, last_boot, verdict

OPENSTACK = (
    "openstack",
    "openstack",
    "openstack/2018-08-27/meta_data.json",
    "openstack/2018-08-27/user_data",
    "openstack/2018-08-27/vendor_data.json 404",
    "openstack/2018-08-27/vendor_data2.json 404",
    "openstack/2018-08-27/network_data.json 404",
    "ec2/latest/meta-data",
    "ec2/latest/meta-data/hostname",
)
EC2 = (
    "ec2/2009-04-04/meta-data/instance-id",
    "ec2/2021-03-23/meta-data/instance-id 404",
    "ec2/2009-04-04/user-data",
    "ec2/2009-04-04/meta-data",
)
NOCLOUD = tuple(f"nocloud/{name}" for name in ("meta-data", "user-data", "vendor-data", "network-config"))


def entries(lines: Sequence[str], *, agent: str = "Cloud-Init/22.4.2", begin: int = 1_000_000) -> list[Entry]:
    """Return what a guest asked, a line for each: the document, and what it got unless that was 200."""
    found = []
    for at, line in enumerate(lines):
        document, _, status = line.partition(" ")
        code = int(status.removesuffix("!") or 200)
        found.append(
            Entry(
                at=begin + at * 100_000,
                method="GET",
                document=document,
                status=code,
                ms=1,
                sent=10,
                complete=not status.endswith("!"),
                token=False,
                agent=agent,
            )
        )
    return found


def judged(lines: Sequence[str], *, user_data: bool = True, token: bool = False) -> Verdict:
    return verdict("web1", entries(lines), has_user_data=user_data, needs_token=token)


@pytest.mark.parametrize(("lines", "source"), [(OPENSTACK, "OpenStack"), (EC2, "Ec2"), (NOCLOUD, "NoCloud")])
def test_a_whole_crawl_is_told_with_who_made_it(lines: Sequence[str], source: str) -> None:
    found = judged(lines)
    assert (found.complete, found.source, found.program) == (True, source, "cloud-init 22.4.2")
    assert found.sentences[0].startswith(f"web1 read all that it needs of {source} with cloud-init 22.4.2: ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "web1 has asked for nothing"),
        (("openstack 503",), "got 503 for /openstack and did not ask again: cloud-init passes"),
        (("openstack", "openstack"), "read the list of versions twice and never asked for meta_data.json of OpenStack"),
        (
            (*OPENSTACK[:2], "openstack/latest/meta_data.json 500"),
            "got 500 for /openstack/latest/meta_data.json and did not ask again: cloud-init before 25.1",
        ),
        (
            (*OPENSTACK[:2], "openstack/latest/meta_data.json 404"),
            "asked for /openstack/latest/meta_data.json and got 404: every cloud-init gives up",
        ),
        (
            (*OPENSTACK[:3], "openstack/2018-08-27/user_data 500", *OPENSTACK[4:]),
            "boots without user data, silently",
        ),
        ((*OPENSTACK[:3], OPENSTACK[2]), "and meta_data.json twice and never its user data"),
        ((*EC2, "ec2/2009-04-04/meta-data/tags 404"), "drops all metadata when one that is listed is absent"),
        (EC2[:3], "never asked for the list of metadata of Ec2"),
        (("nocloud/meta-data 404",), "gives up the data source"),
        ((*EC2, "ec2/2009-04-04/meta-data/hostname 200!"), "did not get all of /2009-04-04/meta-data/hostname"),
    ],
)
def test_what_is_missing_is_told_with_what_the_guest_makes_of_it(lines: Sequence[str], said: str) -> None:
    found = judged(lines)
    assert not found.complete
    assert said in found.sentences[0]


@pytest.mark.parametrize("agent", ["systemd-imdsd/262.1-1", "Afterburn/5.9.0", "Ignition/2.14.0", "Boto3/1.34"])
def test_who_reads_single_documents_is_not_held_to_what_a_data_source_needs(agent: str) -> None:
    lines = ("ec2/latest/api/token", "ec2/latest/meta-data/hostname", "ec2/latest/meta-data/public-ipv4 404")
    found = verdict("web1", entries(lines, agent=agent), has_user_data=True, needs_token=True)
    assert (found.complete, found.source) == (True, None)
    assert found.sentences[0].startswith("web1 read what it asked for with ")
    failed = verdict("web1", entries((*lines, f"{lines[1]} 503"), agent=agent), has_user_data=True, needs_token=True)
    assert failed.sentences == (
        "web1 got 503 for /latest/meta-data/hostname and did not ask again: the guest may not ask again",
    )


def test_what_was_asked_again_with_success_is_no_fault() -> None:
    lines = (*OPENSTACK[:2], "openstack/2018-08-27/meta_data.json 503", *OPENSTACK[2:])
    assert judged(lines).complete


def test_user_data_that_is_not_there_need_not_be_read() -> None:
    assert judged((*OPENSTACK[:3], *OPENSTACK[4:]), user_data=False).complete
    assert not judged((*OPENSTACK[:3], *OPENSTACK[4:])).complete


def test_a_guest_without_a_token_is_told_from_one_whose_token_is_bad() -> None:
    (first, *_) = judged(("ec2/latest/meta-data 401",) * 3, token=True).sentences
    assert first.startswith("web1 was refused 3 times: it needs a session token and never got one")
    (first, *_) = judged(("ec2/latest/api/token", "ec2/latest/meta-data 401"), token=True).sentences
    assert "had expired, or was of another machine" in first


def test_only_the_last_boot_counts() -> None:
    before = entries(OPENSTACK[:2])
    after = entries(NOCLOUD, begin=before[-1].at + SILENCE_US + 1)
    assert last_boot([*before, *after]) == after
    assert verdict("web1", [*before, *after], has_user_data=True, needs_token=False).source == "NoCloud"


def test_what_cloud_init_reports_to_have_failed_is_said_too() -> None:
    (entry,) = entries(["ec2/reporting/cloud-init"])
    reports = (
        Report(name="modules-final", description="running", event="start"),
        Report(name="modules-final/config-scripts-user", description="it failed", event="finish", result="FAIL"),
    )
    told = [
        Entry(**{name: getattr(entry, name) for name in Entry.__slots__ if name != "report"}, report=report)
        for report in reports
    ]
    found = verdict("web1", [*entries(OPENSTACK), *told], has_user_data=True, needs_token=False)
    assert found.sentences[1:] == ("cloud-init reports FAIL of modules-final/config-scripts-user: it failed",)
    assert found.complete


@pytest.mark.parametrize(
    ("agent", "program"),
    [
        ("Cloud-Init/25.1.2-0ubuntu0", "cloud-init 25.1.2-0ubuntu0"),
        ("Ignition/2.14.0", "Ignition 2.14.0"),
        ("OpenStack-cloudbase-init", "cloudbase-init"),
        ("Boto3/1.34 md/Botocore#1.34", "an AWS SDK 1.34"),
        ("curl/8", None),
    ],
)
def test_programs_are_known_by_their_agents(agent: str, program: str | None) -> None:
    found = verdict("web1", entries(EC2, agent=agent), has_user_data=True, needs_token=False)
    assert found.program == program
