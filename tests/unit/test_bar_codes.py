"""Bar codes of implants: right ones of each form; the wrong ones stand in the mutation table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.rules.barcodes import bar_code_problem, gs1_check_digit, hibcc_check_character

GTIN = "(01)04712345678900"
HIBCC = "+H124ABC1234561/28181LOT7BE"
HIBC_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"


def hibcc(body: str) -> str:
    return body + hibcc_check_character(body)


@pytest.mark.parametrize(
    "code",
    [
        f"{GTIN}(17)280630(10)LOT7A",
        f"{GTIN}(17)280630(10)LOT7A(20)01",
        f"{GTIN}(17)280630(10)lot7A(21)0012",
        f"{GTIN}(10)LOT7A(17)280630",
        f"{GTIN}(17)280600(10)7",
        f"{GTIN}(17)280229(10)A2345678901234567890",
        HIBCC,
        hibcc("+H124ABC1234561/28366"),
        hibcc("+H124ABC1234561/$$0628LOT7B"),
        hibcc("+H124ABC1234561/$$2063028LOT7B"),
        hibcc("+H124ABC1234561/$$3280630LOT7B"),
        hibcc("+H124ABC1234561/$$428063012LOT7B"),
        hibcc("+H124ABC1234561/$$528181LOT7B"),
        hibcc("+H124ABC1234561/$$62818112LOT7B"),
        hibcc("+H124ABC1234561/$$80228181LOT7B".replace("$$802", "$$8025")),
        hibcc("+H124ABC1234561/28181LOT7B/S0012"),
        "06-28051911MNPYX2".replace("1911", "2811"),
        "7115-000528067T7W78",
        "82-3-0508280651762801",
        "a.b_c/2812x",
    ],
)
def test_a_right_bar_code_has_no_problem(code: str) -> None:
    assert bar_code_problem(code, "202503") == ""


def test_check_digits_are_those_of_the_standards() -> None:
    # GS1 General Specifications, section 7.9.1: 629104150021 → 3.
    assert gs1_check_digit("629104150021") == "3"
    # ANSI/HIBC 2.6, appendix B: +A123BJC5D6E71 → G.
    assert hibcc_check_character("+A123BJC5D6E71") == "G"


def test_a_check_character_may_be_a_sign_or_a_blank() -> None:
    signs = {code[-1] for n in range(200) if (code := hibcc(f"+H124A{n}1/28181L"))}
    assert {" ", "/", "+", "%", "$", "-", "."} <= signs
    for n in range(200):
        assert bar_code_problem(hibcc(f"+H124A{n}1/28181L"), "202503") == ""


def test_the_month_of_expiry_itself_is_in_time() -> None:
    code = f"{GTIN}(17)250331(10)L"
    assert bar_code_problem(code, "202503") == ""
    assert bar_code_problem(code, "202504") == "A5"
    assert bar_code_problem(code, "") == "", "an unknown month raises nothing"


@given(st.integers(0, 13), st.sampled_from("123456789"))
def test_one_wrong_digit_of_a_gtin_is_always_found(place: int, shift: str) -> None:
    digits = list(GTIN[4:])
    digits[place] = str((int(digits[place]) + int(shift)) % 10)
    assert bar_code_problem(f"(01){''.join(digits)}(17)280630(10)L", "") == "A2"


@given(st.integers(1, len(HIBCC) - 1), st.sampled_from(HIBC_CHARACTERS))
def test_one_wrong_character_of_an_hibcc_code_is_always_found(place: int, char: str) -> None:
    wrong = HIBCC[:place] + char + HIBCC[place + 1 :]
    assert (bar_code_problem(wrong, "202503") != "") is (wrong != HIBCC)


@given(st.text(max_size=60) | st.text(alphabet="(01)+/$;-A9 ", max_size=60), st.just("202503"))
def test_any_text_has_an_answer(code: str, month: str) -> None:
    for start in ("", "(01)", "+", f"{GTIN}(17)", "+H124ABC1/"):
        assert bar_code_problem(start + code, month) in {
            *("", "A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5", "B6", "B7"),
            *("C1", "C2", "C3", "D1"),
        }
