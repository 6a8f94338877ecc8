"""The service as a process: a dropped result leaves for the clinic that ordered it."""

from __future__ import annotations

import time
from pathlib import Path

from broker.demo.people import CLINIC, LAB
from tests.integration.delivery_stage import oru
from tests.integration.test_service import SETTINGS, get, service


def log(folder: Path) -> str:
    return (folder / "labbroker.log").read_text("utf-8")


def test_a_dropped_result_becomes_a_pdf_and_a_message_in_the_clinics_folders(
    tmp_path: Path,
) -> None:
    for name in ("inbox", "pdf", "hl7"):
        (tmp_path / name).mkdir()
    config = tmp_path / "labbroker.toml"
    ways = "".join(
        f'[[delivery]]\nname = "{form}"\nclinic = "{CLINIC}"\nlab = "{LAB}"\nkind = "folder"\n'
        f'format = "{form}"\nfolder = "{form}"\n'
        for form in ("pdf", "hl7")
    )
    config.write_text(SETTINGS + ways, "utf-8")
    with service(config) as (_, http):
        (tmp_path / "inbox/result.hl7").write_bytes(oru("F1", "600", flag="HH"))
        until = time.monotonic() + 60
        while log(tmp_path).count("delivery.acknowledged") < 2 and time.monotonic() < until:
            time.sleep(0.1)
        (pdf,), (hl7,) = (sorted((tmp_path / form).glob("[!.]*")) for form in ("pdf", "hl7"))
        assert pdf.read_bytes().startswith(b"%PDF")
        assert b"|600|mg/dL|70 - 100|HH|" in hl7.read_bytes()
        status, text = get(f"{http}/metrics")
        assert status == 200
        assert "labbroker_critical_unconfirmed 1" in text
    assert log(tmp_path).count('"delivery.acknowledged"') == 2
    assert "許功蓋" not in log(tmp_path)
