"""Why an upload file or package as a whole cannot be read or written.

All reading errors are :class:`mapping.errors.UnreadablePayload`, so a door that quarantines those
needs to know no more; the code tells them apart. No text here holds a value of the file.
"""

from __future__ import annotations

from mapping.errors import LabbrokerError, Language, UnreadablePayload

_ASK_EN = "Ask the sender for a corrected copy."
_ASK_ZH = "請送件端更正後重送。"


class ForbiddenDoctype(UnreadablePayload):
    """A DOCTYPE can hide files, addresses and bombs; the format has none."""

    code = "upload-doctype"
    en = ("The XML declares a DOCTYPE, which upload files never have.", _ASK_EN)
    zh = ("XML 含有 DOCTYPE 宣告，上傳檔不得使用。", _ASK_ZH)


class UnacceptedEncoding(UnreadablePayload):
    code = "upload-encoding"
    en = (
        "The XML declares the encoding {encoding}; Big5 and UTF-8 are read.",
        "Save the file as Big5 or UTF-8, with the matching declaration.",
    )
    zh = (
        "XML 宣告的編碼為 {encoding}；僅接受 Big5 與 UTF-8。",
        "請以 Big5 或 UTF-8 儲存並宣告一致。",
    )


class UndecodableText(UnreadablePayload):
    code = "upload-undecodable"
    en = (
        "The file is not {encoding} throughout: the byte at offset {offset} has no meaning in it.",
        "Ask the sender which encoding was used; user-defined characters (造字) cannot be read.",
    )
    zh = (
        "檔案內容並非全為 {encoding}：位移 {offset} 的位元組無法解讀。",
        "請向送件端確認編碼；造字無法讀取。",
    )


class MalformedXml(UnreadablePayload):
    code = "upload-malformed"
    en = ("The XML is not well formed at line {line}, column {column}.", _ASK_EN)
    zh = ("XML 格式不正確（第 {line} 行第 {column} 欄）。", _ASK_ZH)


class UploadCutOff(MalformedXml):
    code = "upload-cut-off"
    en = (
        "The file ends too early: behind {records} whole record(s), at line {line}, </patient> is "
        "missing.",
        "Copy or export the file again; its end is missing.",
    )
    zh = (
        "檔案不完整：{records} 筆完整紀錄之後（第 {line} 行起）缺少結尾 </patient>。",
        "請重新複製或匯出檔案；檔案結尾遺失。",
    )


_EXPECTED_ZH = {
    "elements": "欄位元素",
    "one text in each field": "每個欄位內只有文字",
    "each field once": "每個欄位一次",
}
_PLACES_ZH = {"/": "檔案開頭", "the end": "檔案結尾"}


class UnexpectedStructure(UnreadablePayload):
    code = "upload-structure"
    en = (
        "The XML is not a daily upload file: expected {expected} at {place}.",
        "The form is <patient>, in it <hdata> for each order, in it <rdata> for each result.",
    )
    zh = (
        "XML 不是每日上傳檔：{place} 應為 {expected}。",
        "結構為 <patient> 內每筆醫令一個 <hdata>，其內每筆結果一個 <rdata>。",
    )

    def sentence(self, language: Language = "en") -> str:
        if language != "zh":
            return super().sentence(language)
        expected, place = str(self.parameters["expected"]), str(self.parameters["place"])
        if place.startswith("before "):
            place = f"{place.removeprefix('before ')} 之前"
        return self.zh[0].format(
            expected=_EXPECTED_ZH.get(expected, expected).replace(" in ", " 於 "),
            place=_PLACES_ZH.get(place, place),
        )


class TagsInCapitals(UnreadablePayload):
    code = "upload-tags-in-capitals"
    en = (
        "The orders of the file are in <{found}>; expected <hdata>.",
        "Write all tags in small letters, as the format does: XML tells the two apart.",
    )
    zh = (
        "檔案內的醫令以 <{found}> 標示，應為 <hdata>。",
        "請將所有標籤改為小寫：XML 區分大小寫，格式的標籤皆為小寫。",
    )


class UploadTooLarge(UnreadablePayload):
    code = "upload-too-large"
    en = (
        "The upload is larger than allowed: over {limit} {unit} ({place}).",
        "Split the upload into several files.",
    )
    zh = ("上傳檔過大：超過 {limit} {unit}（{place}）。", "請分成數個檔案上傳。")


class DamagedPackage(UnreadablePayload):
    code = "package-damaged"
    en = ("The ZIP is damaged or is no ZIP.", _ASK_EN)
    zh = ("ZIP 檔已損毀或不是 ZIP 檔。", _ASK_ZH)


class UnexpectedEntries(UnreadablePayload):
    code = "package-entries"
    en = (
        "The ZIP holds {count} entries; it must hold exactly one XML named by letters and digits.",
        "Pack one XML and nothing else (SPEC114 p. 1).",
    )
    zh = (
        "ZIP 內有 {count} 個項目；僅能有一個以英數字命名的 XML 檔。",
        "請只壓縮一個 XML 檔（SPEC114 第 1 頁）。",
    )


class SuspiciousPackage(UnreadablePayload):
    code = "package-suspicious"
    en = (
        "The ZIP is refused before unpacking: {measure} is {actual}, at most {limit} is allowed.",
        "Pack the XML again with an ordinary ZIP tool, without a password.",
    )
    zh = (
        "ZIP 檔在解壓縮前即被拒絕：{measure} 為 {actual}，上限為 {limit}。",
        "請以一般 ZIP 工具重新壓縮，不加密碼。",
    )


class UnwritableRecord(LabbrokerError):
    """The record should have been refused by the checks; writing stops rather than alter it."""

    code = "unwritable-record"
    en = (
        "A record cannot be written to the upload file: {reason} ({place}).",
        "Check the record again; report this fault with its log line.",
    )
    zh = (
        "紀錄無法寫入上傳檔：{reason}（{place}）。",
        "請重新檢核該筆紀錄，並附上紀錄檔回報。",
    )


class EmptyPackage(LabbrokerError):
    code = "empty-package"
    en = ("A package without records was asked for.", "Seal a package only when records are ready.")
    zh = ("要求產生沒有紀錄的上傳檔。", "有待上傳紀錄時才封裝。")


class PackageDiffers(LabbrokerError):
    """The package on disk is not what was meant to be in it."""

    code = "package-differs"
    en = (
        "The written package does not hold what was sealed: {what} differs at {place}.",
        "The package is not sent; seal it again and report this fault with its log line.",
    )
    zh = (
        "寫出的上傳檔與封裝內容不符：{place} 的 {what} 不同。",
        "該檔不會送出；請重新封裝，並附上紀錄檔回報。",
    )
