"""Where nothing can be proposed the reason is told, in both languages."""

from __future__ import annotations

import pytest

from mapping.finding import Finding, finding_texts
from mapping.no_proposal import _REASONS, no_proposal_reason


@pytest.mark.parametrize(
    ("finding", "english", "chinese"),
    [
        (Finding("14", "r6-1", "rdata[1]"), "no default reference", "未設定預設參考值"),
        (Finding("01", "h7", "hdata", "12"), "card data", "就醫資料"),
        (Finding("09", "r4", "rdata[1]", "1.23"), "only it can correct", "檢驗所更正"),
        (Finding("A2", "r4", "rdata[4]", "(01)1"), "only it can correct", "檢驗所更正"),
        (Finding("unmapped-code", "", "OBX[1]", "X"), "codes unmapped", "codes unmapped"),
        (Finding("package-refused"), "nothing that is known", "無法判定"),
    ],
    ids=["reference", "serial", "decimals", "bar code", "unmapped", "package"],
)
def test_the_reason_names_what_is_missing(finding: Finding, english: str, chinese: str) -> None:
    assert english in no_proposal_reason(finding, "en")
    assert chinese in no_proposal_reason(finding, "zh")


def test_every_reason_belongs_to_a_finding_that_exists() -> None:
    assert set(_REASONS) <= set(finding_texts())
