"""Who may bring check reports, and what opens them, from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from adapters.nhi.check_report import open_verdict
from broker.bootstrap.channels import passwords_of
from broker.check_reports import CheckReports
from broker.config.secret import SecretUnavailable
from broker.config.settings import Settings


def check_report_desk(settings: Settings, environ: Mapping[str, str]) -> CheckReports:
    """The desk of these settings; passwords that cannot be read now are passed over."""

    def passwords() -> Iterator[str]:
        for institution in settings.institutions:
            if institution.verdict_password is not None:
                try:
                    person = institution.verdict_password.read(environ).reveal()
                except SecretUnavailable:
                    continue
                yield from passwords_of(institution.code, person)

    return CheckReports(
        open_verdict,
        frozenset(source.source_id for source in settings.sources if source.check_reports),
        passwords,
        timedelta(seconds=settings.schedule.verdict_poll_seconds),
    )
