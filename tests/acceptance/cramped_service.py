"""`labbroker` that may write no file beyond a size: every write past it fails as on a sick disk.

Run as ``python -m tests.acceptance.cramped_service BYTES serve --config FILE``.
"""

from __future__ import annotations

import resource
import sys

from broker.cli.main import main

if __name__ == "__main__":
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.exit(main(sys.argv[2:]))
