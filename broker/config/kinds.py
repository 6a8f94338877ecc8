"""One reader for each kind of setting: a TOML value becomes the value that the code uses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from broker.config.profile_file import read_file_profile
from broker.config.secret import parse_secret_reference
from broker.config.shape import Key, Kind
from broker.opening_hours import HoursUnreadable, OpeningHours, read_hours
from mapping.errors import LabbrokerError
from mapping.file_profile import FileProfile
from mapping.profile import CodeLink

_INSTITUTION = re.compile(r"[0-9A-Z]{10}")
_ORDER = re.compile(r"[0-9A-Z]{0,12}")
_HASH = re.compile(r"[0-9a-f]{64}")


class WrongKind(Exception):
    """``expected`` says what the setting takes. The value itself is not carried along."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        super().__init__(expected)


def read_value(key: Key, value: Any, folder: Path) -> Any:
    """``value`` as ``key.kind`` asks; relative paths start at ``folder``. Raises WrongKind."""
    return _READERS[key.kind](key, value, folder)


def _need(condition: bool, key: Key) -> None:
    if not condition:
        raise WrongKind(key.expected)


def _text(key: Key, value: Any, folder: Path) -> str:
    _need(isinstance(value, str), key)
    return str(value)


def _number(key: Key, value: Any, folder: Path) -> int | float:
    allowed = (int,) if key.kind is Kind.INTEGER else (int, float)
    _need(isinstance(value, allowed) and not isinstance(value, bool), key)
    number: int | float = value
    low = number if key.least is None else key.least
    high = number if key.most is None else key.most
    _need(low <= number <= high, key)
    return number


def _boolean(key: Key, value: Any, folder: Path) -> bool:
    _need(isinstance(value, bool), key)
    return bool(value)


def _date(key: Key, value: Any, folder: Path) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise WrongKind(f"{key.expected}, written 2026-01-31 without quotes")


def _path(key: Key, value: Any, folder: Path) -> Path:
    _need(isinstance(value, str) and value != "" and "\0" not in value, key)
    return (folder / Path(value).expanduser()).resolve()


def _file_profile(key: Key, value: Any, folder: Path) -> FileProfile:
    path = _path(key, value, folder)
    try:
        return read_file_profile(path)
    except LabbrokerError as error:
        raise WrongKind(f"{key.expected}; {path.name}: {error.sentence()}") from None


def _texts(key: Key, value: Any, folder: Path) -> tuple[str, ...]:
    _need(isinstance(value, list | tuple) and all(isinstance(item, str) for item in value), key)
    return tuple(value)


def _dates(key: Key, value: Any, folder: Path) -> frozenset[date]:
    _need(isinstance(value, list | tuple), key)
    return frozenset(_date(key, item, folder) for item in value)


def _hours(key: Key, value: Any, folder: Path) -> OpeningHours:
    try:
        return read_hours(_texts(key, value, folder))
    except HoursUnreadable:
        raise WrongKind(key.expected) from None


def _networks(key: Key, value: Any, folder: Path) -> tuple[Any, ...]:
    try:
        return tuple(ip_network(item, strict=False) for item in _texts(key, value, folder))
    except ValueError:
        raise WrongKind(key.expected) from None


def _hashes(key: Key, value: Any, folder: Path) -> tuple[str, ...]:
    # ``openssl x509 -fingerprint`` writes a colon between the bytes.
    texts = tuple(item.replace(":", "").lower() for item in _texts(key, value, folder))
    _need(all(_HASH.fullmatch(item) for item in texts), key)
    return texts


def _institution(key: Key, value: Any, folder: Path) -> str:
    text = _text(key, value, folder)
    _need(text == key.default or _INSTITUTION.fullmatch(text) is not None, key)
    return text


def _institutions(key: Key, value: Any, folder: Path) -> tuple[str, ...]:
    codes = _texts(key, value, folder)
    _need(all(_INSTITUTION.fullmatch(code) for code in codes), key)
    return codes


def _choice(key: Key, value: Any, folder: Path) -> str:
    _need(value in key.choices, key)
    return str(value)


def _secret(key: Key, value: Any, folder: Path) -> Any:
    reference = parse_secret_reference(value, folder) if isinstance(value, str) else None
    _need(reference is not None, key)
    return reference


def _links(key: Key, value: Any, folder: Path) -> dict[str, str]:
    _need(hasattr(value, "items"), key)
    _need(all(isinstance(item, str) for item in value.values()), key)
    for name in value:
        if key.choices and name not in key.choices:
            near = difflib.get_close_matches(name, key.choices, n=1, cutoff=0.4)
            raise WrongKind(
                f"only known names; for {name} did you mean {(near or key.choices)[0]}?"
            )
    return dict(value)


def _codes(key: Key, value: Any, folder: Path) -> dict[str, CodeLink]:
    _need(hasattr(value, "items"), key)
    return {str(code): _code_link(key, str(code), link) for code, link in value.items()}


def _code_link(key: Key, code: str, link: Any) -> CodeLink:
    row = link if isinstance(link, dict) else {"order_code": link}
    order, item = row.get("order_code"), row.get("item_number")
    if (
        row.keys() - {"order_code", "item_number"}
        or not (isinstance(order, str) and _ORDER.fullmatch(order))
        or not (item is None or (type(item) is int and item > 0))
    ):
        raise WrongKind(f"{key.expected}; look at {code}")
    return CodeLink(str(order), item)


_READERS: dict[Kind, Callable[[Key, Any, Path], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.PATH: _path,
    Kind.TEXTS: _texts,
    Kind.DATES: _dates,
    Kind.HOURS: _hours,
    Kind.NETWORKS: _networks,
    Kind.HASHES: _hashes,
    Kind.INSTITUTION: _institution,
    Kind.INSTITUTIONS: _institutions,
    Kind.CHOICE: _choice,
    Kind.SECRET: _secret,
    Kind.LINKS: _links,
    Kind.CODES: _codes,
    Kind.FILE_PROFILE: _file_profile,
}
