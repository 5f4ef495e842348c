"""measure.py SECONDS OUT ERR COMMAND...: runs a command with output to files and prints its cost as JSON.

A separate program, started with -I -S: a child's reported peak memory is never below that of its parent, so the parent
has to be small."""

import json
import os
import signal
import sys
import time

limit, out, err, *command = sys.argv[1:]
began = time.monotonic()
streams = [
    (os.POSIX_SPAWN_OPEN, fd, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for fd, path in ((1, out), (2, err))
]
child = os.posix_spawnp(command[0], command, os.environ, file_actions=streams)
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
signal.alarm(int(limit))
_, status, used = os.wait4(child, 0)
unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
print(
    json.dumps(
        {
            "status": os.waitstatus_to_exitcode(status),
            "cpu": used.ru_utime + used.ru_stime,
            "peak_mb": used.ru_maxrss * unit / 1e6,
            "wall": time.monotonic() - began,
        }
    )
)
