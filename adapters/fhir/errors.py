"""Why bytes as a whole cannot be read as FHIR. Each class is one reason, with its own code.

No sentence holds anything from the payload but places: line, column, byte, element path.
"""

from __future__ import annotations

from mapping.errors import UnreadablePayload
from mapping.finding import Finding

_RESEND_EN = "The sender corrects it and sends it again."
_RESEND_ZH = "請送件端更正後重送。"


class PayloadTooLarge(UnreadablePayload):
    """More bytes than the door takes. Parameters: ``size``, ``limit`` (bytes)."""

    code = "fhir-too-large"
    en = (
        "The payload has {size} bytes; at most {limit} are read.",
        "Let the sender split it into several Bundles.",
    )
    zh = ("內容有 {size} 位元組，上限為 {limit}。", "請送件端分成數個 Bundle 傳送。")


class NotUtf8(UnreadablePayload):
    """FHIR is UTF-8 always (R4 json.html, xml.html). Parameter: ``place``."""

    code = "fhir-not-utf-8"
    en = ("The payload is not UTF-8 (at {place}).", _RESEND_EN)
    zh = ("內容不是 UTF-8 編碼（位置：{place}）。", _RESEND_ZH)


class MalformedJson(UnreadablePayload):
    """RFC 8259 grammar broken. Parameters: ``place``, ``reason`` (a fixed phrase)."""

    code = "fhir-malformed-json"
    en = ("The JSON is malformed at {place}: {reason}.", _RESEND_EN)
    zh = ("JSON 格式錯誤，位置 {place}：{reason}。", _RESEND_ZH)


class DuplicateKey(UnreadablePayload):
    """One object names the same property twice, so two readers would see two results."""

    code = "fhir-duplicate-key"
    en = ("A JSON object has the same property twice (at {place}).", _RESEND_EN)
    zh = ("JSON 物件中同一屬性出現兩次（位置：{place}）。", _RESEND_ZH)


class NotANumber(UnreadablePayload):
    """NaN, Infinity, or a number beyond every range. Parameter: ``place``."""

    code = "fhir-not-a-number"
    en = ("A number is not a finite decimal (at {place}).", _RESEND_EN)
    zh = ("數字不是有限的十進位數（位置：{place}）。", _RESEND_ZH)


class IllegalCharacter(UnreadablePayload):
    """A lone surrogate or a control character in a string (R4 datatypes.html, string)."""

    code = "fhir-illegal-character"
    en = ("A text holds a character that FHIR forbids (at {place}).", _RESEND_EN)
    zh = ("文字含有 FHIR 不允許的字元（位置：{place}）。", _RESEND_ZH)


class TooDeep(UnreadablePayload):
    """Nested deeper than any real resource. Parameters: ``place``, ``limit`` (levels)."""

    code = "fhir-too-deep"
    en = ("The payload is nested more than {limit} levels deep (at {place}).", _RESEND_EN)
    zh = ("內容巢狀超過 {limit} 層（位置：{place}）。", _RESEND_ZH)


class MalformedXml(UnreadablePayload):
    """Not well-formed XML. Parameter: ``place``."""

    code = "fhir-malformed-xml"
    en = ("The XML is not well formed (at {place}).", _RESEND_EN)
    zh = ("XML 格式錯誤（位置：{place}）。", _RESEND_ZH)


class DoctypeRefused(UnreadablePayload):
    """A document type declaration: FHIR never needs one, attackers do (R4 xml.html)."""

    code = "fhir-doctype"
    en = ("The XML holds a document type declaration (at {place}); none is read.", _RESEND_EN)
    zh = ("XML 含有 DOCTYPE 宣告（位置：{place}），一律不予讀取。", _RESEND_ZH)


class XmlTooLarge(UnreadablePayload):
    """More elements or attributes than any real payload. Parameters: ``place``, ``limit``."""

    code = "fhir-xml-too-large"
    en = ("The XML holds more than {limit} elements or attributes (at {place}).", _RESEND_EN)
    zh = ("XML 的元素或屬性超過 {limit} 個（位置：{place}）。", _RESEND_ZH)


class TooManyResults(UnreadablePayload):
    """References unfold into more results than any real payload. Parameters: place, limit."""

    code = "fhir-too-many-results"
    en = (
        "The references unfold into more than {limit} results (at {place}).",
        "Let the sender name each Observation in one report only.",
    )
    zh = (
        "參照展開後超過 {limit} 筆結果（位置：{place}）。",
        "請送件端讓每個 Observation 只列於一份報告。",
    )


class NotFhir(UnreadablePayload):
    """Well formed, but no resource that can carry results. Parameter: ``place``."""

    code = "fhir-not-a-result"
    en = (
        "The payload is no FHIR Bundle, DiagnosticReport or Observation (at {place}).",
        "Send laboratory results as one of these three, in FHIR R4.",
    )
    zh = (
        "內容不是 FHIR 的 Bundle、DiagnosticReport 或 Observation（位置：{place}）。",
        "請以 FHIR R4 這三種資源之一傳送檢驗結果。",
    )


class NoUsableResult(UnreadablePayload):
    """Every part that could carry a result was refused. ``findings`` says each reason.

    Parameters: ``place`` (the first fault), ``count`` (of faults).
    """

    code = "fhir-no-usable-result"
    en = ("No result could be used; faults: {count}, the first at {place}.", _RESEND_EN)
    zh = ("沒有可用的檢驗結果：共 {count} 項錯誤，第一項在 {place}。", _RESEND_ZH)

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__(place=findings[0].place if findings else "", count=len(findings))


class TransactionRefused(NoUsableResult):
    """A transaction is all or nothing (R4 http.html#transaction), so one fault refuses it all."""

    code = "fhir-transaction-refused"
    en = (
        "The transaction is refused as a whole; faults: {count}, the first at {place}.",
        "Correct the entries named, or send them as a batch, where each stands alone.",
    )
    zh = (
        "整筆 transaction 不予接受：共 {count} 項錯誤，第一項在 {place}。",
        "請更正所列項目，或改以 batch 傳送（各項目獨立處理）。",
    )
