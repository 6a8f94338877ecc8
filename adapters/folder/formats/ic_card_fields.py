"""The tags of the IC-card upload, format 1.0 (A…) and 2.0 (M…, D…), by what they mean here.

Format 1.0: 健保卡資料上傳作業說明 (IC10), field table. Format 2.0: tags as public programs write
them; the meaning of M08 and M09 is inferred from the order of A20 and A21.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CardFormat:
    """Tags of one format; ``""`` where it has no such field.

    ``order_kinds`` are the kinds of order line that can be an examination; ``deleting_kinds``
    take such a line back.
    """

    version: str
    institution_code: str
    national_id: str
    birth_on: str
    provider_id: str
    card_at: str
    visit_serial: str
    makeup_code: str
    visit_type: str
    newborn_birth_on: str
    newborn_mark: str
    actual_visit_on: str
    institution_kind: str
    visit_identifier: str
    original_visit_identifier: str
    order_kind: str
    order_code: str
    body_part: str
    ordered_at: str
    quantity: str
    card_mark: str
    dispensing_code: str
    order_kinds: frozenset[str]
    deleting_kinds: frozenset[str]


FORMAT_1_0 = CardFormat(
    version="1.0",
    institution_code="A14",
    national_id="A12",
    birth_on="A13",
    provider_id="A15",
    card_at="A17",
    visit_serial="A18",
    makeup_code="A19",
    visit_type="A23",
    newborn_birth_on="A20",
    newborn_mark="A21",
    actual_visit_on="A54",
    institution_kind="",
    visit_identifier="",
    original_visit_identifier="",
    order_kind="A72",
    order_code="A73",
    body_part="A74",
    ordered_at="A71",
    quantity="A77",
    card_mark="A78",
    dispensing_code="",
    # 3 診療, 5 重要醫令, J 矯正機關; C, E, K take them back (IC10, A72).
    order_kinds=frozenset("35J"),
    deleting_kinds=frozenset("CEK"),
)

FORMAT_2_0 = CardFormat(
    version="2.0",
    institution_code="M05",
    national_id="M03",
    birth_on="M04",
    provider_id="M06",
    card_at="M11",
    visit_serial="M13",
    makeup_code="M12",
    visit_type="M07",
    newborn_birth_on="M08",
    newborn_mark="M09",
    actual_visit_on="M49",
    institution_kind="M56",
    visit_identifier="M15",
    original_visit_identifier="M16",
    order_kind="D02",
    order_code="D06",
    body_part="D07",
    ordered_at="D01",
    quantity="D10",
    card_mark="",
    dispensing_code="D05",
    # 診療 is 2 here, not 3: D02 follows the claim's kind of order.
    order_kinds=frozenset("2J"),
    deleting_kinds=frozenset("K"),
)

CANCELLING_VISIT_TYPES = frozenset({"ZA", "ZB"})
"""Not visits: they take back what was uploaded within 24 hours, wholly or in part."""
