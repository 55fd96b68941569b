"""``make test-conformance``: pass the suites of the OpenStack project, as docs/compatibility.md says."""

from __future__ import annotations

import sys

from conformance.command import main

sys.exit(main())
