"""``python -m broker.sandbox``."""

from __future__ import annotations

import sys

from broker.sandbox.serve import main

sys.exit(main())
