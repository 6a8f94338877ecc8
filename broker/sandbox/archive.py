"""Packs the check report into its ZIP, with the password that the portal would ask for."""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO

import pyzipper

from broker.sandbox.settings import ReportEncryption


def pack_reports(
    reports: Mapping[str, bytes], encryption: ReportEncryption, password: str
) -> bytes:
    """A ZIP of ``reports`` by entry name, encrypted as the setting says."""
    if encryption is ReportEncryption.ZIPCRYPTO:
        return _zipcrypto(reports, password.encode("ascii"))
    target = BytesIO()
    aes = encryption is ReportEncryption.AES
    with pyzipper.AESZipFile(
        target,
        "w",
        compression=pyzipper.ZIP_DEFLATED,
        encryption=pyzipper.WZ_AES if aes else None,
    ) as archive:
        if aes:
            archive.setpassword(password.encode("ascii"))
        for name, raw in reports.items():
            archive.writestr(name, raw)
    return target.getvalue()


def _zipcrypto(reports: Mapping[str, bytes], password: bytes) -> bytes:
    """Traditional PKWARE encryption (APPNOTE 6.1), which no library at hand can write."""
    body, directory = bytearray(), bytearray()
    for name, raw in reports.items():
        label, checksum = name.encode("ascii"), zlib.crc32(raw)
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = deflater.compress(raw) + deflater.flush()
        # The twelfth byte of the header is the check byte: the top of the CRC.
        head = secrets.token_bytes(11) + bytes((checksum >> 24,))
        data = _encrypt(head + packed, password)
        shared = struct.pack(
            "<HHHHHIIIHH", 20, 1, 8, 0, 0x21, checksum, len(data), len(raw), len(label), 0
        )
        offset = len(body)
        body += b"PK\x03\x04" + shared + label + data
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + shared
        directory += struct.pack("<HHHII", 0, 0, 0, 0, offset) + label
    ending = struct.pack("<HHHHIIH", 0, 0, len(reports), len(reports), len(directory), len(body), 0)
    return bytes(body + directory) + b"PK\x05\x06" + ending


def _encrypt(plain: bytes, password: bytes) -> bytes:
    first, second, third = 0x12345678, 0x23456789, 0x34567890

    def mix(byte: int) -> None:
        nonlocal first, second, third
        first = _CRC[(first ^ byte) & 0xFF] ^ (first >> 8)
        second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = _CRC[(third ^ (second >> 24)) & 0xFF] ^ (third >> 8)

    for byte in password:
        mix(byte)
    cipher = bytearray()
    for byte in plain:
        key = (third & 0xFFFF) | 2
        cipher.append(byte ^ ((key * (key ^ 1) >> 8) & 0xFF))
        mix(byte)
    return bytes(cipher)


def _crc_row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value


_CRC = tuple(_crc_row(value) for value in range(256))
