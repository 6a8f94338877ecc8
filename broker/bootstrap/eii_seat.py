"""NHI's library on this machine, as the settings have it: for the service and for a card agent."""

from __future__ import annotations

from adapters.nhi.eii_process import EiiProcess
from adapters.nhi.local_eii_seat import LocalEiiSeat
from broker.config.settings import EiiChannelSettings


def local_eii_seat(eii: EiiChannelSettings) -> LocalEiiSeat:
    """NHI's library on this machine."""
    assert eii.library and eii.reader_library  # noqa: S101, PT018 - the settings need them
    process = EiiProcess(
        eii.library,
        eii.reader_library,
        control_library=eii.control_library,
        port=eii.port,
        python=eii.python,
        timeout=eii.timeout_seconds,
    )
    return LocalEiiSeat(
        process,
        eii.work_folder,
        type_code=eii.type_code,
        request_template=eii.request_template,
        report_after=eii.report_after_seconds,
    )
