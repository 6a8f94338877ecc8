"""What stops at the folder door, each with its sentence. No file name and no content is in them:
a name may be a patient's, and texts of errors may be logged."""

from __future__ import annotations

from mapping.errors import LabbrokerError


class FolderGone(LabbrokerError):
    """The folder or its sub-folders are missing: a lost mount, never "all files were deleted"."""

    code = "folder-gone"
    en = (
        "The watched folder of source {source_id} cannot be used ({reason}).",
        "Mount the share again; if its sub-folders were removed on purpose, restart the door.",
    )
    zh = (
        "來源 {source_id} 的監看資料夾目前無法使用（{reason}）。",
        "請重新掛載網路磁碟；若確實刪除了子資料夾，請重新啟動此服務。",
    )


class FolderConflict(LabbrokerError):
    """Two watched folders are the same, or one lies inside the other."""

    code = "folder-conflict"
    en = (
        "Two watched folders overlap (sources {first} and {second}).",
        "Give each source a folder of its own in the settings.",
    )
    zh = (
        "兩個監看資料夾重疊（來源 {first} 與 {second}）。",
        "請在設定中為每個來源指定各自的資料夾。",
    )


class FileBusy(LabbrokerError):
    """The file cannot be read or moved now; it stays where it is and is tried again."""

    code = "file-busy"
    en = (
        "A file of source {source_id} cannot be {action} now ({reason}).",
        "Check the permissions of the folder; it is tried again by itself.",
    )
    zh = (
        "來源 {source_id} 的一個檔案目前無法處理（{action}：{reason}）。",
        "請檢查資料夾權限；系統會自動重試。",
    )


class FileChanged(LabbrokerError):
    """The file changed while it was read: it was not whole yet."""

    code = "file-changed"
    en = ("A file changed while it was read.", "Nothing to do; it is read again when it is quiet.")
    zh = ("檔案在讀取時仍有變動。", "無須處理；檔案靜止後會重新讀取。")


class FileRefused(LabbrokerError):
    """The file is moved to the folder for refused files, with a note beside it."""

    code = "file-refused"


class EmptyFile(FileRefused):
    code = "file-empty"
    en = ("The file is empty.", "Let the sender write the file again.")
    zh = ("檔案是空的。", "請送件端重新產生檔案。")


class FileTooLarge(FileRefused):
    code = "file-too-large"
    en = (
        "The file has {size} bytes; at most {limit} are taken.",
        "Let the sender split the file.",
    )
    zh = ("檔案大小為 {size} 位元組，上限為 {limit}。", "請送件端將檔案分割後重送。")


class NotARegularFile(FileRefused):
    code = "file-not-regular"
    en = (
        "This is no ordinary file but a {kind}.",
        "Copy the file itself into the folder; links are never followed.",
    )
    zh = ("此項目不是一般檔案，而是 {kind}。", "請將檔案本身複製到資料夾；系統不會跟隨連結。")


class HardLinkedFile(FileRefused):
    code = "file-hard-linked"
    en = (
        "The file has {links} names (hard links), so that it could change after it was taken.",
        "Copy the file into the folder instead of linking it.",
    )
    zh = (
        "檔案有 {links} 個名稱（硬連結），收檔後仍可能被更動。",
        "請以複製方式放入檔案，勿使用連結。",
    )


class DuplicateFile(LabbrokerError):
    """No fault: the note beside a file that came once more."""

    code = "file-duplicate"
    en = (
        "The very same content was taken before (receipt {receipt_id}); nothing was stored again.",
        "Nothing to do; if a correction was meant, let the sender write it into the file.",
    )
    zh = (
        "相同內容先前已收下（收件 {receipt_id}），未重複收件。",
        "無須處理；若為更正報告，請送件端於檔案中載明更正內容。",
    )


class FileUnread(LabbrokerError):
    """The note beside a file that was taken and could not be read afterwards. ``code``, ``en`` and
    ``zh`` of the parameters are what the reader said."""

    code = "file-unread"
    en = (
        "It was taken as receipt {receipt_id}, but cannot be read [{reason_code}]: {reason}",
        "{remedy} Its bytes are kept: when the cause is gone, `labbroker replay {receipt_id}` "
        "reads them again, and this file may be deleted.",
    )
    zh = (
        "已收件（收件 {receipt_id}），但內容無法讀取 [{reason_code}]：{reason_zh}",
        "{remedy_zh}原始內容已保存；原因排除後可執行 `labbroker replay {receipt_id}` 重新讀取，"
        "此檔案即可刪除。",
    )


class MemberUnread(FileUnread):
    """The same of one file of a ZIP."""

    code = "file-of-zip-unread"
    en = (
        "File {number} of this ZIP was taken as receipt {receipt_id}, but cannot be read "
        "[{reason_code}]: {reason}",
        "{remedy} The other files were taken. Its bytes are kept: when the cause is gone, "
        "`labbroker replay {receipt_id}` reads them again.",
    )
    zh = (
        "此 ZIP 的第 {number} 個檔案已收件（收件 {receipt_id}），但內容無法讀取 [{reason_code}]："
        "{reason_zh}",
        "{remedy_zh}其餘檔案已收下；原始內容已保存，原因排除後可執行 "
        "`labbroker replay {receipt_id}` 重新讀取。",
    )
