"""NHI's list of cases not uploaded, as far as its published sample shows it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyzipper

HEADER = (
    "身分證號或身分證明文件號碼(A12),出生日期(A13),新生兒出生日期(A20),新生兒胎胞註記(A21),"
    "新生兒就醫註記(A24),健保卡過卡日期(A17),就醫類別(A23),就醫序號(A18),診療項目代號(A73),"
    "總量(A77),交付處方註記(A78),補充說明(A91),未完整上傳註記(1:有影像無報告、2:有報告無影像)"
)


def list_row(national_id: str, card_at: str, serial: str, code: str, quantity: str = "1.0") -> str:
    return f"{national_id},0650401,,,,{card_at},01,{serial},{code},{quantity},04,,"


def list_csv(rows: Sequence[str]) -> bytes:
    return "".join(f"{row}\r\n" for row in (HEADER, *rows)).encode("cp950")


def list_zip(raw: bytes, name: str, password: str = "") -> bytes:
    """A ZIP of the list, with AES where there is a password."""
    out = io.BytesIO()
    encryption = pyzipper.WZ_AES if password else None
    with pyzipper.AESZipFile(
        out, "w", compression=pyzipper.ZIP_DEFLATED, encryption=encryption
    ) as archive:
        if password:
            archive.setpassword(password.encode())
        archive.writestr(name, raw)
    return out.getvalue()
