"""Times of the Republic's calendar, remembered: the orders of one report share their few times."""

from __future__ import annotations

from functools import lru_cache

from mapping.rocdate import roc_datetime, roc_moment

written_datetime = lru_cache(maxsize=2048)(roc_datetime)
written_moment = lru_cache(maxsize=2048)(roc_moment)
