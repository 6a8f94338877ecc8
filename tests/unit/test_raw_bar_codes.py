"""GS1 bar codes as scanners give them are shown with the brackets that the format wants."""

from __future__ import annotations

import pytest

from mapping.rules.barcodes import bar_code_problem, bracketed_gs1

GTIN = "04712345678900"


@pytest.mark.parametrize(
    ("scanned", "written"),
    [
        (f"01{GTIN}1728063010LOT7A", f"(01){GTIN}(17)280630(10)LOT7A"),
        (f"01{GTIN}1728063010LOT7A\x1d21S1", f"(01){GTIN}(17)280630(10)LOT7A(21)S1"),
        (f"01{GTIN}10LOT7A\x1d17280630", f"(01){GTIN}(10)LOT7A(17)280630"),
        (f"01{GTIN}10LOT7A<GS>17280630", f"(01){GTIN}(10)LOT7A(17)280630"),
        (f"01{GTIN}10LOT7A{{FNC1}}17280630", f"(01){GTIN}(10)LOT7A(17)280630"),
        (f"01{GTIN}10LOT7A＜GS＞17280630", f"(01){GTIN}(10)LOT7A(17)280630"),
        (f"]d201{GTIN}1728063010LOT7A", f"(01){GTIN}(17)280630(10)LOT7A"),
        (f"]C1\x1d01{GTIN}1728063010LOT7A", f"(01){GTIN}(17)280630(10)LOT7A"),
        (f"01{GTIN}172806302001", f"(01){GTIN}(17)280630(20)01"),
    ],
    ids=[
        "run together",
        "separator",
        "lot in the middle",
        "GS in words",
        "FNC1 in words",
        "full-width signs",
        "data matrix",
        "code 128",
        "variant",
    ],
)
def test_a_scan_is_written_with_brackets(scanned: str, written: str) -> None:
    assert bracketed_gs1(scanned) == written


@pytest.mark.parametrize(
    "code",
    [
        f"(01){GTIN}(17)280630(10)LOT7A",
        "+H124005842013021/99365LOT7C+",
        "06-28059912MNPYX2",
        "01-2805-9912",
        "0104712345678901172806301",
        f"01{GTIN}99LOT7A",
        f"01{GTIN}17280",
        f"17280630{GTIN}",
        "",
    ],
    ids=[
        "in brackets",
        "HIBCC",
        "maker",
        "maker that begins with 01",
        "wrong check digit",
        "unknown identifier",
        "cut off",
        "no 01 first",
        "empty",
    ],
)
def test_other_texts_are_no_scan(code: str) -> None:
    assert bracketed_gs1(code) == ""


def test_what_is_proposed_passes_the_checks() -> None:
    written = bracketed_gs1(f"01{GTIN}1728063010LOT7A")
    assert bar_code_problem(written, "202502") == ""
