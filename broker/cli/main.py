"""The command ``labbroker``: finds the command, and is the one place that prints errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from broker.cli.commands import COMMANDS
from broker.cli.language import chosen_language
from broker.redact import redact_error
from mapping.errors import LabbrokerError, Language

EXIT_ERROR = 2
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    2: an error that a person can repair, told as a sentence and a remedy on standard error;
    70: a fault of the program; 130: interrupted; 141: nobody reads our output any more.
    A traceback is shown only with ``LABBROKER_DEBUG=1``: it may quote a payload.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    language = chosen_language(os.environ)
    for stream in (sys.stdout, sys.stderr):
        _show_everything(stream)
    try:
        code = _run(arguments, language)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The interpreter flushes once more at its end; give it somewhere to write.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return EXIT_INTERRUPTED
    except LabbrokerError as error:
        if _debugging():
            raise
        tell(error, language)
        return EXIT_ERROR
    except Exception as error:
        if _debugging():
            raise
        tell(LabbrokerError(), language)
        place = redact_error(error)
        sys.stderr.write(f"{place['error_class']} ({place['where']})\n")
        return EXIT_FAULT


def tell(error: LabbrokerError, language: Language) -> None:
    """Write an error as its sentence and its remedy on standard error."""
    sys.stderr.write(f"labbroker: {error.sentence(language)}\n{error.remedy(language)}\n")


def _run(argv: list[str], language: Language) -> int:
    parser = argparse.ArgumentParser(
        prog="labbroker",
        description="把檢驗結果在時限內上傳健保署。"
        if language == "zh"
        else "Takes laboratory results to NHI before their clock runs out.",
    )
    parser.add_argument("--version", action="store_true", help=argparse.SUPPRESS)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    asked = next((each for each in argv if not each.startswith("-")), "")
    modules = {}
    for command in COMMANDS:
        if command.name == asked:
            module = modules[command.name] = command.module()
            module.add_parser(subparsers)
        else:
            subparsers.add_parser(command.name, help=command.summary(language))
    arguments = parser.parse_args(argv)
    arguments.language = language
    if getattr(arguments, "config", "") is None and os.environ.get("LABBROKER_CONFIG"):
        arguments.config = Path(os.environ["LABBROKER_CONFIG"])
    if arguments.version:
        modules["version"] = next(each for each in COMMANDS if each.name == "version").module()
        return modules["version"].run(arguments)
    if not arguments.command:
        parser.print_help()
        return EXIT_ERROR
    return modules[arguments.command].run(arguments)


def _show_everything(stream: TextIO) -> None:
    """What the terminal cannot show is written as an escape instead of failing."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _debugging() -> bool:
    return os.environ.get("LABBROKER_DEBUG") == "1"


if __name__ == "__main__":
    sys.exit(main())
