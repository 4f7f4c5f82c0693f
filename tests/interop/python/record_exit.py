"""Runs a command on this process's own stdin and stdout, and writes how it ended to a file.

    record_exit.py FILE COMMAND ARGS...

FILE gets one line, `CODE TIME`: the exit code, negative if a signal ended the command, and the monotonic clock.
"""

import os
import signal
import subprocess
import sys
import time

# A client that gives up waiting signals the whole process group. We outlive that, to tell of it.
signal.signal(signal.SIGTERM, lambda *_: None)

record, command = sys.argv[1], sys.argv[2:]
code = subprocess.call(command)
with open(record + ".part", "w", encoding="ascii") as file:
    file.write(f"{code} {time.monotonic()}\n")
os.replace(record + ".part", record)
