from __future__ import annotations

import subprocess
import sys


def test_the_library_for_rabbitmq_is_not_loaded_before_somebody_uses_it() -> None:
    program = (
        "import sys, headwater.server.application, headwater.notifications.rabbitmq\n"
        "print(*{'oslo_messaging', 'kombu', 'eventlet'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
