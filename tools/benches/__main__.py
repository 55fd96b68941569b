"""The command line of the benches."""

from __future__ import annotations

import sys

from tools.benches.command import main

sys.exit(main())
