"""What the system says of a file, a folder or a port, in both languages."""

from __future__ import annotations

import errno

_REASONS = {
    errno.ENOENT: ("no such file or folder", "檔案或資料夾不存在"),
    errno.ENOTDIR: ("a part of its path is no folder", "路徑中有一段不是資料夾"),
    errno.EACCES: ("permission denied", "權限不足"),
    errno.EPERM: ("permission denied", "權限不足"),
    errno.EISDIR: ("it is a folder", "此為資料夾"),
    errno.EEXIST: ("a file of that name is there", "已有同名檔案"),
    errno.EROFS: ("the disk is read-only", "磁碟為唯讀"),
    errno.ENOSPC: ("the disk is full", "磁碟空間不足"),
    errno.EIO: ("the disk cannot be read", "磁碟讀取失敗"),
    errno.ENAMETOOLONG: ("the name is too long", "檔名過長"),
    errno.EADDRINUSE: ("another program uses it", "已由其他程式使用"),
    errno.EADDRNOTAVAIL: ("this machine has no such address", "本機沒有此位址"),
    errno.ECONNREFUSED: ("nothing listens there", "該處沒有程式接聽"),
    errno.EHOSTUNREACH: ("it cannot be reached", "網路無法連通"),
    errno.ENETUNREACH: ("it cannot be reached", "網路無法連通"),
    errno.ETIMEDOUT: ("no answer in time", "逾時未回應"),
}


def system_reason(error: Exception) -> tuple[str, str]:
    """What the system says, in English and in Chinese."""
    if isinstance(error, TimeoutError):
        return _REASONS[errno.ETIMEDOUT]
    number = getattr(error, "errno", None)
    if number in _REASONS:
        return _REASONS[number]
    said = str(getattr(error, "strerror", None) or "the name is not valid")
    return said, f"系統訊息 {said}" if number else "檔名無效"
