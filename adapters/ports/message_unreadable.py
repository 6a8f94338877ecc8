"""Why one side of the line between card agent and broker does not take what the other sent."""

from __future__ import annotations

from mapping.errors import LabbrokerError


class MessageUnreadable(LabbrokerError):
    """``field`` is a word of ours: nothing of what the other side wrote is told."""

    code = "message-unreadable"
    en = (
        "A message between card agent and broker cannot be read ({field}).",
        "Run the same version of labbroker on both machines.",
    )
    zh = (
        "無法解讀卡片代理程式與服務之間的訊息（{field}）。",
        "請於兩台主機使用相同版本的 labbroker。",
    )
