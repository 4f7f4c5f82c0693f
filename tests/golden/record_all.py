"""Records every session anew: record_all.py [NAME ...] (all of them, or those whose name contains one of NAME).

Wants MCP_PYTHON (an interpreter that has `mcp` 2.3.0), `npm ci` done in peers/typescript, and MCP_RUST (the program
that peers/rust builds). Nothing machine-specific gets into a session: none of these is ever sent.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("MCP_PYTHON", sys.executable)
RUST = os.environ.get("MCP_RUST", "golden-rmcp")
MODULES = HERE / "peers/typescript/node_modules"

VERSIONS = {
    "python": "python 2.3.0",
    "ts": "typescript 2.4.0",
    "ts1": "typescript 1.32.2",
    "everything": "everything 2026.8.31",
    "rmcp": "rmcp 3.9.0",
}
CLIENTS = {
    "python": [PYTHON, HERE / "peers/python/client.py"],
    "ts": ["node", HERE / "peers/typescript/client.mjs"],
    "ts1": ["node", HERE / "peers/typescript/client1.mjs"],
    "rmcp": [RUST, "client"],
}
SERVERS = {
    "python": [PYTHON, HERE / "peers/python/server.py"],
    "ts": ["node", HERE / "peers/typescript/server.mjs"],
    "ts1": ["node", HERE / "peers/typescript/server1.mjs"],
    "everything": ["node", MODULES / "@modelcontextprotocol/server-everything/dist/index.js", "stdio"],
    "rmcp": [RUST, "server"],
}
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"


def sessions():
    """(client, server, revision, scenario): what there is to record."""
    for revision in LEGACY:
        for scenario in ("tools", "resources", "prompts", "utilities", "asking"):
            yield "python", "python", revision, scenario
    for scenario in ("unable", "crossed", "unknown"):
        yield "python", "python", "2025-11-25", scenario
    for scenario in ("tools", "resources", "prompts", "utilities", "asking", "unable", "listen", "pinned", "errors"):
        yield "python", "python", MODERN, scenario
    for revision in LEGACY:
        for scenario in ("tools", "resources", "prompts", "utilities", "asking"):
            yield "ts", "ts", revision, scenario
    for scenario in ("unable", "watching", "skills"):
        yield "ts", "ts", "2025-11-25", scenario
    for scenario in ("tools", "resources", "prompts", "utilities", "asking", "unable", "listen", "watching", "errors"):
        yield "ts", "ts", MODERN, scenario
    for scenario in ("sibling", "skills"):
        yield "ts", "ts", MODERN, scenario
    for client, server in (("python", "ts"), ("ts", "python")):
        for scenario in ("tools", "resources", "prompts", "utilities", "asking", "unable"):
            yield client, server, "2025-11-25", scenario
        for scenario in ("tools", "resources", "prompts", "utilities", "asking", "listen", "errors"):
            yield client, server, MODERN, scenario
    yield "python", "ts", "2025-11-25", "crossed"
    yield "python", "ts", "2025-11-25", "unknown"
    for client in ("python", "ts"):
        yield client, "everything", "2025-11-25", "everything"
        yield client, "everything", MODERN, "fallback"
    yield "ts", "everything", MODERN, "refused"
    for revision in LEGACY:
        for scenario in ("tools", "resources", "prompts", "utilities", "asking"):
            yield "rmcp", "rmcp", revision, scenario
    yield "rmcp", "rmcp", "2025-11-25", "unable"
    for scenario in ("tools", "resources", "prompts", "utilities", "asking", "unable", "listen", "tasks", "errors"):
        yield "rmcp", "rmcp", MODERN, scenario
    for client, server in (("python", "rmcp"), ("rmcp", "python"), ("ts", "rmcp"), ("rmcp", "ts")):
        for scenario in ("tools", "utilities", "asking"):
            yield client, server, "2025-11-25", scenario
        for scenario in ("tools", "resources", "prompts", "utilities", "asking", "listen", "errors"):
            yield client, server, MODERN, scenario
    for client, server in (("python", "rmcp"), ("ts", "rmcp"), ("rmcp", "everything")):
        yield client, server, MODERN, "fallback"
    yield "rmcp", "rmcp", MODERN, "refused"
    for client, server in (("python", "rmcp"), ("python", "ts"), ("rmcp", "rmcp"), ("rmcp", "ts"), ("ts", "ts")):
        yield client, server, "2025-11-25", "refused"
    yield "rmcp", "ts", MODERN, "skills"
    yield "python", "rmcp", "2025-11-25", "crossed"
    for scenario in ("tasks", "task_input", "client_tasks"):
        yield "ts1", "everything", "2025-11-25", scenario


def spoken(revision, scenario):
    """The revision that a session comes to be in, for a client that begins with this one."""
    return {"fallback": LEGACY[-1]}.get(scenario, revision)


def main():
    failed = 0
    for client, server, revision, scenario in sessions():
        name = f"{spoken(revision, scenario)}-{client}-{server}-{scenario}"
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        print(name, file=sys.stderr, flush=True)
        out = HERE / "sessions" / f"{name}.jsonl"
        for old in (out, *out.parent.glob(f"{name}-[0-9].jsonl")):
            old.unlink(missing_ok=True)
        header = {
            "out": out,
            "session": name,
            "client": VERSIONS[client],
            "server": VERSIONS[server],
            "revision": spoken(revision, scenario),
            "era": "modern" if spoken(revision, scenario) == MODERN else "legacy",
        }
        tee = [sys.executable, HERE / "record.py"]
        for key, value in header.items():
            tee += [f"--{key}", value]
        command_line = SERVERS[server]
        if server != "everything":
            # A server that takes one era only, where the scenario is about a client of the other one.
            other = "legacy-only" if revision == MODERN else "modern-only"
            mode = {"fallback": other, "refused": other, "skills": "skills"}.get(scenario)
            command_line = [*command_line, mode] if mode else command_line
        command = [*CLIENTS[client], revision, scenario, *tee, *command_line]
        code = subprocess.run([str(part) for part in command], timeout=120).returncode
        if code:
            failed += 1
            print(f"  FAILED: {code}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
