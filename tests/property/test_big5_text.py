from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mapping.big5 import cp950_length, encode, fit_text, is_encodable, unencodable


@given(st.text(), st.sampled_from(["r4", "r5", "h22", "h9"]))
def test_fitted_text_either_encodes_as_itself_or_is_named(text: str, tag: str) -> None:
    fitted, findings = fit_text(text, tag)
    assert bool(findings) is bool(unencodable(fitted)) is not is_encodable(fitted)
    if not findings:
        assert encode(fitted).decode("cp950") == fitted
        assert len(encode(fitted)) == cp950_length(fitted)


@given(st.text(), st.sampled_from(["r4", "r5", "h22"]))
def test_fitting_twice_changes_nothing_more(text: str, tag: str) -> None:
    once, _ = fit_text(text, tag)
    assert fit_text(once, tag)[0] == once


@given(
    st.text(
        alphabet=st.characters(
            codec="ascii", exclude_categories=["Cc"], exclude_characters="<>&\"'"
        )
    )
)
def test_plain_ascii_is_never_touched(text: str) -> None:
    assert fit_text(text, "r4") == (text, ())
