#!/usr/bin/env python3
"""Runs the official SDKs through weir-proxy against the simulated provider, each with its base URL
as the only change, and writes what came of it to docs/COMPATIBILITY.md.

  tests/sdk/run.py [--only sdk|fleet] [--sdk NAME] [--out FILE] BUILD

BUILD holds bin/weir-proxy, bin/weir-coordinator and bin/weir-upstream. SDKs are installed from the
registries into BUILD/sdk when they are missing. --sdk runs one of Node's alone. Exits 0 when every case went well.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
TOKEN = "weir-sdk-test"

POOLS = """
  - name: chat
    provider: openai
    models: [gpt-4o]
    limits: {rpm: 1M, tpm: 10G}
  - name: vectors
    provider: openai
    models: [text-embedding-3-small]
    limits: {rpm: 1M, tpm: 10G}
  - name: claude
    provider: anthropic
    models: [claude-sonnet-4-5]
    limits: {rpm: 1M, itpm: 10G, otpm: 10G}
  - name: flash
    provider: gemini
    models: [gemini-2.5-flash, gemini-embedding-001]
    limits: {rpm: 1M, tpm: 10G}
"""

FLEET_COPIES, FLEET_CALLS, FLEET_CONCURRENCY = 16, 15, 3
FLEET_LIMIT, FLEET_WINDOW_MS = 40, 5000
FLEET_POOLS = f"""
  - name: chat
    provider: openai
    models: [gpt-4o]
    limits:
      - {{dimension: requests, window: {FLEET_WINDOW_MS // 1000}s, amount: {FLEET_LIMIT}}}
"""


class Stack:
    """A coordinator, a provider, and as many proxies as wanted."""

    def __init__(self, build, pools, upstream_arguments):
        self.bin = pathlib.Path(build) / "bin"
        self.folder = tempfile.TemporaryDirectory(prefix="weir-sdk-")
        self.processes = []
        path = pathlib.Path(self.folder.name)
        self.coordinator = f"ipc://{path}/weir.sock"
        (path / "weir.yaml").write_text(
            f"listen: {self.coordinator}\nstate: {path}/weir.state\nproviders:\n"
            "  gemini: {kind: gemini}\n  openai: {kind: openai}\n  anthropic: {kind: anthropic}\n"
            f"pools:{pools}"
        )
        self.upstream = self.start("weir-upstream", *upstream_arguments)
        self.start("weir-coordinator", "--config", str(path / "weir.yaml"), ready="event=ready")

    def start(self, program, *arguments, ready="listening on ", env=None):
        process = subprocess.Popen(
            [self.bin / program, *arguments],
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        for line in process.stdout:
            if ready in line:
                return line.split("listening on ")[-1].strip()
        sys.exit(f"{program} did not start")

    def proxy(self):
        names = ("openai", "anthropic", "gemini")
        return self.start(
            "weir-proxy",
            env={
                "WEIR_COORDINATOR": self.coordinator,
                "WEIR_LISTEN": "127.0.0.1:0",
                "WEIR_PROXY_TOKEN": TOKEN,
                "WEIR_PROVIDERS": ",".join(f"{name}={self.upstream}" for name in names),
                "OPENAI_API_KEY": "the-project's-key",
                "ANTHROPIC_API_KEY": "the-project's-key",
                "GEMINI_API_KEY": "the-project's-key",
            },
        )

    def counters(self):
        return json.load(urllib.request.urlopen(self.upstream + "/_admin/counters"))["totals"]

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.communicate()
        self.folder.cleanup()


def program_env(base):
    """What tells an SDK where to go, and nothing else of ours."""
    return {
        **os.environ,
        "OPENAI_BASE_URL": base + "/v1",
        "ANTHROPIC_BASE_URL": base,
        "GOOGLE_GEMINI_BASE_URL": base,
        "OPENAI_API_KEY": TOKEN,
        "ANTHROPIC_API_KEY": TOKEN,
        "GEMINI_API_KEY": TOKEN,
        "PYTHONWARNINGS": "ignore",
    }


def install(folder):
    """Returns the commands that run Node and Python with the SDKs; None where one is missing."""
    node, python = folder / "node", folder / "venv"
    node.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "cases.mjs", "fleet.mjs"):
        shutil.copy(here / name, node / name)
    if shutil.which("npm") and not (node / "node_modules").exists():
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
            cwd=node,
            check=False,
        )
    if not (python / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", python], check=False)
        subprocess.run(
            [python / "bin" / "pip", "install", "-q", "-r", here / "requirements.txt"], check=False
        )
    has_node = shutil.which("node") and (node / "node_modules").exists()
    return (
        ["node"] if has_node else None,
        node,
        [str(python / "bin" / "python")] if (python / "bin" / "python").exists() else None,
    )


def run_sdks(build, node, node_folder, python, only):
    stack = Stack(
        build, POOLS, ["--latency-ms", "5", "--chunk-ms", "5", "--context-tokens", "4000000"]
    )
    env = program_env(stack.proxy())
    commands = []
    if node:
        commands.append([*node, str(node_folder / "cases.mjs"), stack.upstream, only or ""])
    if python and not only:
        commands.append([*python, str(here / "cases.py"), stack.upstream])
    lines = []
    for command in commands:
        program = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for text in program.stdout:
            line = json.loads(text)
            lines.append(line)
            print(
                f"{'ok' if line['ok'] else 'FAILED':7} {line['sdk']}: {line['case']}"
                + (f" ({line['note']})" if line["note"] else "")
            )
        if program.wait() != 0:
            lines.append({"sdk": command[0], "case": "the program itself", "ok": False, "note": ""})
    stack.stop()
    return lines


def run_fleet(build, node, node_folder, is_with_weir):
    limits = ["--limit", f"rpm={FLEET_LIMIT}", "--window-ms", str(FLEET_WINDOW_MS)]
    stack = Stack(build, FLEET_POOLS, [*limits, "--latency-ms", "100..400"])
    begin = time.monotonic()
    programs = []
    for _ in range(FLEET_COPIES):
        base = stack.proxy() if is_with_weir else stack.upstream
        env = program_env(base)
        env["OPENAI_API_KEY"] = TOKEN if is_with_weir else "the-project's-key"
        programs.append(
            subprocess.Popen(
                [*node, str(node_folder / "fleet.mjs"), str(FLEET_CALLS), str(FLEET_CONCURRENCY)],
                env=env,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    results = [json.loads(program.communicate()[0]) for program in programs]
    totals = stack.counters()
    stack.stop()
    figures = {
        "done": sum(result["done"] for result in results),
        "failed": sum(result["failed"] for result in results),
        "rejected": totals["rejected"],
        "arrivals": totals["arrivals"],
        "seconds": time.monotonic() - begin,
    }
    print(
        f"{'with' if is_with_weir else 'without'} weir: {figures['done']} calls done, "
        f"{figures['failed']} failed, {figures['arrivals']} requests upstream, "
        f"{figures['rejected']} answered 429, {figures['seconds']:.0f} s"
    )
    return figures


def matrix(lines):
    sdks = list(dict.fromkeys(line["sdk"] for line in lines))
    names = list(dict.fromkeys(line["case"] for line in lines))
    found = {(line["sdk"], line["case"]): line for line in lines}
    rows = ["| case | " + " | ".join(sdks) + " |", "|---" * (len(sdks) + 1) + "|"]
    for name in names:
        cells = []
        for sdk in sdks:
            line = found.get((sdk, name))
            cells.append(
                "" if not line else ("yes" if line["ok"] else "**no**") +
                (f": {line['note']}" if line["note"] else "")
            )
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write(path, lines, fleet):
    text = (here / "COMPATIBILITY.head.md").read_text()
    text += "\n" + matrix(lines) + "\n"
    if fleet:
        text += (
            f"\n## {FLEET_COPIES} copies, one quota\n\n"
            f"{FLEET_COPIES} copies of one program (`tests/sdk/fleet.mjs`, npm `openai`, its default "
            f"retries), each with {FLEET_CALLS} calls,\n{FLEET_CONCURRENCY} at a time, on a project "
            f"quota of {FLEET_LIMIT} requests in {FLEET_WINDOW_MS // 1000} s, a fixed window:\n"
            f"{FLEET_COPIES * FLEET_CALLS} calls, six windows' worth. With weir each copy has a "
            "`weir-proxy` beside it.\n\n"
            "| | calls done | calls failed | requests upstream | answered 429 | seconds |\n"
            "|---|---|---|---|---|---|\n"
        )
        for name, figures in fleet.items():
            text += (
                f"| {name} | {figures['done']} | {figures['failed']} | {figures['arrivals']} | "
                f"{figures['rejected']} | {figures['seconds']:.0f} |\n"
            )
    path.write_text(text)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("build", type=pathlib.Path)
    options.add_argument("--only", choices=["sdk", "fleet"])
    options.add_argument("--sdk")
    options.add_argument("--out", type=pathlib.Path)
    options = options.parse_args()
    node, node_folder, python = install(options.build.resolve() / "sdk")
    lines, fleet = [], {}
    if options.only != "fleet":
        lines = run_sdks(options.build, node, node_folder, python, options.sdk)
    if options.only != "sdk" and node:
        fleet["without weir"] = run_fleet(options.build, node, node_folder, False)
        fleet["with weir"] = run_fleet(options.build, node, node_folder, True)
    bad = [line for line in lines if not line["ok"]]
    if fleet and (fleet["with weir"]["rejected"] > 0 or fleet["with weir"]["failed"] > 0):
        bad.append({"case": "the fleet with weir"})
    if not lines and not fleet:
        sys.exit("neither Node nor Python has the SDKs: nothing was tested")
    if options.out:
        write(options.out, lines, fleet)
    print(f"{len(lines) + len(fleet) - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


main()
