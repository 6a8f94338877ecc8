"""The lists that the settings name, read from their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adapters.folder.formats.claim_list import read_claim_list
from adapters.folder.formats.code_list import read_institution_list, read_order_code_list
from adapters.folder.formats.group_list import read_group_list
from broker.config.settings import ListSettings
from broker.system_reason import system_reason
from mapping.claim import ClaimLine, claim_lists
from mapping.errors import LabbrokerError, UnreadablePayload
from mapping.rates.groups import Groups
from mapping.rules import ImportedLists

T = TypeVar("T")

LARGEST_LIST = 64 * 1024 * 1024
_PATH_REMEDY = (
    "Correct the path under [lists] in the settings, or put the file there.",
    "請更正設定檔 [lists] 的路徑，或將檔案放置於該處。",
)


class ListFileUnreadable(LabbrokerError):
    """``why_en`` and ``why_zh`` are sentences of ours; no cell of the list is in them."""

    code = "list-file-unreadable"
    en = ("The list {file} cannot be used: {why_en}", "{remedy_en}")
    zh = ("清單 {file} 無法使用：{why_zh}", "{remedy_zh}")


@dataclass(frozen=True, slots=True)
class LoadedLists:
    """What could be read; ``problems`` names the files that could not, whose lists are missing
    then: a claim with a hole would make good records look as if they were not claimed."""

    lists: ImportedLists
    claim_lines: tuple[ClaimLine, ...] = ()
    problems: tuple[ListFileUnreadable, ...] = ()


def load_lists(settings: ListSettings) -> LoadedLists:
    """Read all lists of ``settings``. Never raises for what is in a file."""
    problems: list[ListFileUnreadable] = []
    institutions = _load(settings.institutions, read_institution_list, problems)
    order_codes = _load(settings.order_codes, read_order_code_list, problems)
    claims: list[ClaimLine] | None = None
    if settings.claims is not None:
        parts = [
            _load(path, read_claim_list, problems) for path in _files(settings.claims, problems)
        ]
        claims = [line for part in parts for line in part or ()]
        if not parts or None in parts:
            claims = None
    lists = ImportedLists(
        institutions=institutions,
        order_codes=order_codes,
        claims=claim_lists(claims) if claims is not None else None,
    )
    return LoadedLists(lists, tuple(claims or ()), tuple(problems))


def required_lists(settings: ListSettings, claims: Path | None = None) -> LoadedLists:
    """Like :func:`load_lists`, for a person at the command line: raises the first problem.
    ``claims``, named with --claims, stands in place of the settings' own."""
    if claims is not None:
        settings = ListSettings(settings.institutions, settings.order_codes, claims)
    loaded = load_lists(settings)
    for problem in loaded.problems:
        if claims is not None and problem.parameters["file"] == claims:
            raise _named_on_the_command_line(problem)
        raise problem
    return loaded


def load_groups(settings: ListSettings) -> Groups:
    """The groups of ``settings``; none where no list is named. Raises ListFileUnreadable."""
    problems: list[ListFileUnreadable] = []
    memberships = _load(settings.groups, read_group_list, problems)
    if problems:
        raise problems[0]
    return Groups(memberships or ())


def _named_on_the_command_line(problem: ListFileUnreadable) -> ListFileUnreadable:
    if problem.parameters["remedy_en"] != _PATH_REMEDY[0]:
        return problem
    return ListFileUnreadable(
        **{
            **problem.parameters,
            "remedy_en": "Name after --claims the claims XML, a list of its lines, or a folder "
            "with them.",
            "remedy_zh": "請於 --claims 指定申報 XML、其明細清單，或存放這些檔案的資料夾。",
        }
    )


def _files(path: Path, problems: list[ListFileUnreadable]) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        problems.append(_system_problem(path, error))
        return []
    return [
        entry
        for entry in entries
        if entry.suffix.lower() in (".xml", ".csv", ".txt") and entry.is_file()
    ]


def _load(
    path: Path | None, read: Callable[[bytes], T], problems: list[ListFileUnreadable]
) -> T | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_LIST + 1)
        if len(raw) > LARGEST_LIST:
            problems.append(_problem(path, "it is larger than 64 MiB.", "超過 64 MiB。"))
            return None
        return read(raw)
    except OSError as error:
        problems.append(_system_problem(path, error))
    except UnreadablePayload as error:
        problems.append(
            ListFileUnreadable(
                file=path,
                why_en=error.sentence("en"),
                why_zh=error.sentence("zh"),
                remedy_en=error.remedy("en"),
                remedy_zh=error.remedy("zh"),
            )
        )
    return None


def _system_problem(path: Path, error: OSError) -> ListFileUnreadable:
    reason, reason_zh = system_reason(error)
    return _problem(path, f"{reason}.", f"{reason_zh}。")


def _problem(path: Path, why_en: str, why_zh: str) -> ListFileUnreadable:
    return ListFileUnreadable(
        file=path,
        why_en=why_en,
        why_zh=why_zh,
        remedy_en=_PATH_REMEDY[0],
        remedy_zh=_PATH_REMEDY[1],
    )
