"""Runs the commands of documents as they are written.

    documented_commands.py DOCUMENT...

Each document gets a folder of its own, with the repository's samples/ and testvectors/ in it, and its blocks of `sh` run
there one after the other. Comments right before a block, which readers do not see, say what differs:

    <!-- before: COMMAND -->            runs COMMAND first, for example to make the reader's own files
    <!-- exits with: 1 -->              the last command of the block has this exit code
    <!-- not run (REASON): PREFIX -->   commands that begin with PREFIX are not run here; `*` is all of the block
    <!-- services: end -->              what serves ends first, as the text says
    <!-- prints: PATTERN -->            the last command prints a line that begins with the pattern

A command that serves stays in the background until the document ends; the next one runs when it listens.
"""

import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"((?:^ *<!-- (?:before|exits with|not run|prints|services).*?-->\n)*)^( *)```sh\n(.*?)^\2```$", re.M | re.S)
MARK = re.compile(r"<!-- (before|exits with|prints|services|not run \((.*?)\)): (.*?) -->", re.S)
COMMAND_SECONDS = 300


def commands(text):
    """The commands of a block; a line that ends with a backslash goes on."""
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def serves(command):
    return command.startswith("pir-server ") and "--check-config" not in command


class Document:
    def __init__(self, path, folder):
        self.path, self.folder, self.servers = path, folder, []
        self.environment = dict(os.environ)
        for name in ("samples", "testvectors", "deploy"):
            shutil.copytree(REPOSITORY / name, folder / name, symlinks=True)

    def fail(self, line, command, why, log):
        sys.exit(f"{self.path}:{line}: {command}\n{why}\n{log}")

    def run(self, line, command, expected, printed=()):
        # What a command sets, later ones have.
        variable = re.match(r"(\w+)=", command)
        shown = command + (f'; printf %s "${variable[1]}"' if variable else "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shown], cwd=self.folder, capture_output=True, text=True,
            timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, env=self.environment,
        )
        if variable:
            self.environment[variable[1]] = done.stdout
        if done.returncode != expected:
            self.fail(line, command, f"exit code {done.returncode}, expected {expected}", done.stdout + done.stderr)
        for pattern in printed:
            if not re.search(f"^(?:{pattern})", done.stdout, re.M):
                self.fail(line, command, f"no line begins with {pattern}", done.stdout + done.stderr)

    def serve(self, line, command):
        log = open(self.folder / f"server-{len(self.servers)}.log", "w+")
        server = subprocess.Popen(
            ["bash", "-c", "exec " + command], cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.servers.append(server)
        # It prints its address when it listens, or ends.
        ready, _, _ = select.select([server.stdout], [], [], COMMAND_SECONDS)
        if not ready or not server.stdout.readline().startswith("listening "):
            log.seek(0)
            self.fail(line, command, "it does not listen", log.read())

    def block(self, line, marks, text):
        before, expected, printed, left_out = [], 0, [], []
        for kind, reason, value in MARK.findall(marks):
            if kind == "before":
                before.append(value)
            elif kind == "prints":
                printed.append(value)
            elif kind == "services":
                self.end()
            elif kind == "exits with":
                expected = int(value)
            else:
                left_out.append((value, reason))
        for command in before:
            self.run(line, command, 0)
        every = commands(text)
        for number, command in enumerate(every):
            reasons = [reason for prefix, reason in left_out if prefix == "*" or command.startswith(prefix)]
            if reasons:
                print(f"  not run ({reasons[0]}): {command}")
            elif serves(command):
                print(f"  {command}")
                self.serve(line, command)
            else:
                print(f"  {command}")
                is_last = number == len(every) - 1
                self.run(line, command, expected if is_last else 0, printed if is_last else ())

    def end(self):
        for server in self.servers:
            server.terminate()
            server.wait()
        self.servers.clear()


def main(paths):
    for path in paths:
        text = (REPOSITORY / path).read_text()
        blocks = list(BLOCK.finditer(text))
        # A block that the pattern does not see would pass unnoticed.
        if len(blocks) != len(re.findall(r"^ *```sh$", text, re.M)):
            sys.exit(f"{path}: a block of commands is not closed, or is not understood")
        print(f"+ {path}")
        with tempfile.TemporaryDirectory() as folder:
            document = Document(path, Path(folder))
            try:
                for block in blocks:
                    line = text.count("\n", 0, block.start(3)) + 1
                    document.block(line, block.group(1), block.group(3))
            finally:
                document.end()


if __name__ == "__main__":
    main(sys.argv[1:])
