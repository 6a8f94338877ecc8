"""Why a file as a whole cannot be read. ``reason`` and ``reason_zh`` are ours, never the file's."""

from __future__ import annotations

from mapping.errors import UnreadablePayload


class FileUnidentified(UnreadablePayload):
    """None of the formats that are read here."""

    code = "file-unidentified"
    en = (
        "The file cannot be recognised: {reason} (at {place}).",
        "Check that it is HL7 v2, FHIR, a result CSV, IC-card XML or an NHI upload file.",
    )
    zh = (
        "無法辨識檔案格式：{reason_zh}（位置：{place}）。",
        "請確認檔案為 HL7 v2、FHIR、檢驗結果 CSV、健保卡上傳 XML 或檢驗（查）上傳檔。",
    )


class FileAmbiguous(UnreadablePayload):
    """More than one format could be meant."""

    code = "file-ambiguous"
    en = (
        "The file could be {first} and {second} at once.",
        "Name the format of this folder in the settings, or correct the start of the file.",
    )
    zh = (
        "檔案同時符合 {first} 與 {second} 兩種格式。",
        "請在設定中指定此資料夾的格式，或更正檔案開頭。",
    )


class TextUndecodable(UnreadablePayload):
    """Bytes that are no text in the declared or proved character set."""

    code = "text-undecodable"
    en = (
        "The text cannot be decoded: {reason} (at {place}).",
        "Save the file as UTF-8 with BOM, or set the source's encoding in its profile.",
    )
    zh = (
        "文字無法解碼：{reason_zh}（位置：{place}）。",
        "請將檔案另存為 UTF-8（含 BOM），或在來源設定中指定編碼。",
    )


class XmlUnreadable(UnreadablePayload):
    """Not well-formed, too large, or with a DOCTYPE."""

    code = "xml-unreadable"
    en = (
        "The XML cannot be read: {reason} (at {place}).",
        "Ask the sender for a corrected file.",
    )
    zh = ("XML 無法讀取：{reason_zh}（位置：{place}）。", "請送件端更正檔案後重送。")


class ZipUnreadable(UnreadablePayload):
    """Broken, encrypted, or dangerous to inflate."""

    code = "zip-unreadable"
    en = (
        "The ZIP file cannot be read: {reason} (at {place}).",
        "Ask the sender for a plain ZIP with exactly one XML file in it.",
    )
    zh = (
        "ZIP 檔無法讀取：{reason_zh}（位置：{place}）。",
        "請送件端提供僅含一個 XML 檔的一般 ZIP 檔。",
    )


class CsvUnreadable(UnreadablePayload):
    """The header or the quoting of a result CSV is unusable."""

    code = "csv-unreadable"
    en = (
        "The result CSV cannot be read: {reason} (at {place}).",
        "Correct the header or the column names in the source's profile.",
    )
    zh = (
        "檢驗結果 CSV 無法讀取：{reason_zh}（位置：{place}）。",
        "請更正標題列，或修改來源設定中的欄位名稱。",
    )


class CsvQuotingBroken(CsvUnreadable):
    """A quotation mark that opens and never closes, or stands in the middle of a cell."""

    en = (
        CsvUnreadable.en[0],
        'Look at that line: a cell that begins with " must end with one, and a " inside such a '
        "cell is written twice. Or export the table as XLSX.",
    )
    zh = (
        CsvUnreadable.zh[0],
        '請檢查該行：以 " 開頭的欄位須以 " 結尾，欄位內的 " 須寫兩次；或改匯出 XLSX 檔。',
    )


class TableUnreadable(UnreadablePayload):
    """A workbook, a DBF or a file of fixed width that is damaged or not laid out as it should."""

    code = "table-unreadable"
    en = (
        "The table cannot be read: {reason} (at {place}).",
        "Let the sender save the file again, or correct the source's profile.",
    )
    zh = (
        "表格檔無法讀取：{reason_zh}（位置：{place}）。",
        "請送件端重新存檔，或修改來源的檔案設定。",
    )


class NhiFileUnreadable(UnreadablePayload):
    """XML, but not laid out as the NHI upload or IC-card format."""

    code = "nhi-file-unreadable"
    en = (
        "The file is no {reason} (at {place}).",
        "Check which program wrote it and for which upload.",
    )
    zh = ("檔案不符合{reason_zh}（位置：{place}）。", "請確認產生此檔案的程式與上傳項目。")
