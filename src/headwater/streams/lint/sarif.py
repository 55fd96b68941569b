"""A report as SARIF 2.1.0, which code hosts show beside the files."""

from __future__ import annotations

from typing import Any

from headwater.findings import sarif_log, sarif_result
from headwater.streams.lint.check import Found, Report, all_rules


def sarif(report: Report) -> dict[str, Any]:
    """Return the log; the place in a document is a logical location."""
    return sarif_log(
        "headwater streams lint", all_rules(), (_result(each) for each in report.findings), {"TREE": report.place}
    )


def _result(found: Found) -> dict[str, Any]:
    finding = found.finding
    return sarif_result(
        finding.rule.id,
        finding.level,
        f"{finding.sentence}. Fix: {finding.fix}",
        {"artifactLocation": {"uri": finding.file, "uriBaseId": "TREE"}},
        finding.at,
        consumers=list(found.consumers),
        reach=str(finding.reach),
    )
