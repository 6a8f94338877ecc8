"""What ``labbroker doctor`` looks at in the channels that institutions use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container, Iterator
from pathlib import Path

from adapters.nhi.eii_process import EiiProcess
from adapters.nhi.unsigning_credential import CloudSam
from broker.cli.outcome import Outcome, fail, failed_by, ok, warn
from broker.cli.setup_checks import check_channel
from broker.config import Settings
from broker.config.settings import EiiChannelSettings
from mapping.errors import LabbrokerError


def check_channels(settings: Settings, online: bool) -> Iterator[Outcome]:
    """Each channel in use has its parts; the stand-in gateway where nothing is set up yet."""
    used = {institution.channel for institution in settings.institutions} or {"sandbox"}
    if "sandbox" in used:
        yield check_channel(settings, online)
    elsewhere = {code: each.agent for each in settings.pairings for code in each.eii}
    sending = [each for each in settings.institutions if each.channel == "eii"]
    if any(each.code not in elsewhere for each in sending):
        yield from _eii(settings, elsewhere)
    for institution in sending:
        if institution.code in elsewhere:
            agent = elsewhere[institution.code]
            said = f"The agent {agent} sends its files; `labbroker cards` says whether it is there."
            chinese = f"由代理程式 {agent} 上傳；請以 `labbroker cards` 確認其連線。"
            yield ok(f"credential {institution.code}", (said, chinese))
    if "portal" in used:
        for institution in settings.institutions:
            if institution.channel == "portal":
                yield _writable(settings.portal_channel.folder / institution.code)
        yield _writable(settings.portal_channel.results_folder)


def _eii(settings: Settings, elsewhere: Container[str]) -> Iterator[Outcome]:
    eii = settings.eii_channel
    missing = [path for path in (eii.library, eii.reader_library) if path and not path.is_file()]
    for path in missing:
        yield fail(
            "channel eii",
            (f"{path} does not exist.", f"{path} 不存在。"),
            (
                "Copy it there: NHI's library from the VPN (下載專區), Reader.dll from the maker "
                "of the reader.",
                "請放置該檔：健保署元件取自 VPN 下載專區，Reader.dll 取自讀卡機廠商。",
            ),
        )
    if not missing:
        yield asyncio.run(_loads(eii))
    if not eii.request_template:
        yield warn(
            "channel eii reports",
            (
                "channel.eii.request_template is not set: check reports are not fetched.",
                "未設定 channel.eii.request_template：無法自動取回檢核報告。",
            ),
            (
                "Copy the request file's content from 下載專區, or bring reports with "
                "`labbroker verdict`.",
                "請由下載專區取得請求檔內容，或以 `labbroker verdict` 匯入報告。",
            ),
        )
    for institution in settings.institutions:
        if institution.channel == "eii" and institution.code not in elsewhere:
            yield _sam(CloudSam(institution.credential_folder, institution.code))


async def _loads(eii: EiiChannelSettings) -> Outcome:
    assert eii.library and eii.reader_library  # noqa: S101, PT018 - the settings need them
    process = EiiProcess(eii.library, eii.reader_library, python=eii.python)
    try:
        bits = await process.try_out()
    except LabbrokerError as error:
        said = failed_by("channel eii", error)
        return fail(
            said.check,
            said.said,
            (
                "A 32-bit library needs a 32-bit Python: name it in channel.eii.python.",
                "32 位元元件須以 32 位元 Python 載入，請於 channel.eii.python 指定。",
            ),
        )
    finally:
        await process.close()
    return ok(
        "channel eii",
        (f"The library can be loaded ({bits} bit).", f"元件可載入（{bits} 位元）。"),
    )


def _sam(sam: CloudSam) -> Outcome:
    check = f"credential {sam.expected}"
    try:
        code = sam.institution_code
    except LabbrokerError as error:
        return failed_by(check, error)
    if code != sam.expected:
        return fail(
            check,
            (f"The SAM file belongs to {code}.", f"SAM 檔屬於 {code}。"),
            ("Put this institution's SAM file there.", "請放置該機構的 SAM 檔。"),
        )
    return ok(check, ("The SAM file is there.", "SAM 檔已就緒。"))


def _writable(folder: Path) -> Outcome:
    check = f"channel portal {folder.name}"
    if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return fail(
            check,
            (f"{folder} cannot be read and written.", f"{folder} 無法讀寫。"),
            (
                "Give the service's user the right to read and write there.",
                "請授予服務帳號讀寫的權限。",
            ),
        )
    if not folder.is_dir():
        return ok(
            check, (f"{folder} is made at the first start.", f"{folder} 將於首次啟動時建立。")
        )
    return ok(check, (f"{folder} can be used.", f"{folder} 可使用。"))
