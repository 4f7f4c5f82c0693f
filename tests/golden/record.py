"""Records one session between a client and a stdio server of the official SDKs, byte for byte.

    record.py --out FILE --session NAME --client C --server S --revision R --era legacy|modern COMMAND ARGS...

A client runs this as its server. It starts COMMAND, copies both directions unchanged, and writes each line that
passes to FILE (a .jsonl) as `{"from": "client"|"server", "line": "..."}`, after a header line that repeats the options.
Should FILE exist, this is another process of the same session, and FILE gets the first free suffix: -2, -3, ...
A line is written down before it is passed on, so that the file keeps cause before effect. Stderr passes through.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import threading


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    header = ("session", "client", "server", "revision", "era")
    for name in header:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    lock = threading.Lock()
    for number in itertools.count(1):
        suffix = "" if number == 1 else f"-{number}"
        try:
            out = open(options.out.removesuffix(".jsonl") + suffix + ".jsonl", "x", encoding="utf-8", newline="\n")
            break
        except FileExistsError:
            continue
    options.session += suffix

    def write(entry):
        # ASCII only: whatever the line held is restored by parsing, and no editor can change it by accident.
        out.write(json.dumps(entry, separators=(",", ":")) + "\n")
        out.flush()

    write({name: getattr(options, name) for name in header})
    server = subprocess.Popen(options.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: server.send_signal(number))

    def copy(source, sink, who):
        for line in iter(source.readline, b""):
            with lock:
                write({"from": who, "line": line.decode("utf-8", "surrogateescape").removesuffix("\n")})
            try:
                sink.write(line)
                sink.flush()
            except (BrokenPipeError, ValueError):
                break
        try:
            sink.close()
        except OSError:
            pass

    threading.Thread(target=copy, args=(sys.stdin.buffer, server.stdin, "client"), daemon=True).start()
    # The server's side runs here, so the session ends when the server closes its output.
    copy(server.stdout, sys.stdout.buffer, "server")
    code = server.wait()
    with lock:
        out.close()
        sys.stderr.flush()
        # The client's side may still be blocked in a read that nothing will end.
        import os

        os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
