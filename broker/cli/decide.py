"""A decision about one record: through the running service, else in the store itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from broker.choices import Decision, apply_decision, decision_json, require_decision
from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, require_store
from broker.states import ReceiptState
from broker.store.location import StoreLocation
from broker.store.receipts import ReceiptAppender, finish_receipt, receipt_row
from broker.web.control import find_control
from mapping.parsed import Content


def decide(store: StoreLocation, decision: Decision) -> dict[str, Any]:
    """What came of it: ``{"record", "receipt_id", "requeued"}``."""
    require_store(store)
    control = find_control(store.folder)
    if control is not None:
        return ask_service(control, "decide", json.dumps(decision.to_json()).encode())
    now = datetime.now(UTC)
    with changing(store) as connection:
        require_decision(connection, decision)
        row = receipt_row(decision.payload(now), now)
        (accepted,) = ReceiptAppender(connection).append(connection, [row])
        content = Content.CORRECTION.value
        finish_receipt(connection, accepted.receipt_id, ReceiptState.PARSED, content=content)
        requeued = apply_decision(connection, accepted.receipt_id, decision)
        return decision_json(decision, accepted.receipt_id, requeued)
