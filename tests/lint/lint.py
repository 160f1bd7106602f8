#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rules of the code that a tool can check. `lint.py CHECK` prints what breaks it and exits 1 if anything does.

Each check is a function of the project's root folder that yields problems as text; self_test.py shows that each
one finds what it is for.
"""
import re
import subprocess
import sys
from pathlib import Path

FILE_LINES = 500
FUNCTION_LINES = 100
PARAMETERS = 6

# Folders that also link into stage 1, where there are no threads, no NSS and no dynamic loader.
STATIC = {"base", "nix", "tree", "plan", "manifest", "image", "http", "nbd", "cache", "swarm", "net",
          "node", "stage1"}
STATIC_BANNED = {"pthread.h", "netdb.h", "pwd.h", "grp.h", "dlfcn.h", "threads.h"}

BANNED = {
    "strcpy": "it knows no bound", "sprintf": "it knows no bound", "vsprintf": "it knows no bound",
    "gets": "it knows no bound", "strtok": "it keeps hidden state", "atoi": "it hides errors; strtol",
    "atol": "it hides errors; strtol", "atoll": "it hides errors; strtoll", "alloca": "the stack is small",
    "system": "a shell is not an API", "popen": "a shell is not an API",
    "gethostbyname": "it blocks and is not reentrant", "tmpnam": "it races; mkostemp",
    "mktemp": "it races; mkostemp", "strerror_r": "two incompatible versions", "exit": "only main ends us",
    "abort": "libraries do not end the process", "sleep": "wait for the event",
}
# Where a banned call is right, with the reason.
ALLOWED = {
    ("exit", "src/vm"): "the child between fork and exec",
    ("strcpy", "tests"): "", ("exit", "tests"): "", ("system", "tests"): "", ("popen", "tests"): "",
    ("sleep", "tests"): "", ("abort", "tests"): "",
}


def files(root, *suffixes, below="."):
    """Files of the project, as git sees them; all files where there is no git."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", below],
                            capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [
        str(p.relative_to(root)) for p in Path(root).rglob("*") if p.is_file()]
    return sorted(Path(root, n) for n in names
                  if n and (not suffixes or n.endswith(suffixes)) and Path(root, n).is_file())


def sources(root):
    return [f for f in files(root, ".c", ".h") if f.relative_to(root).parts[0] in ("src", "tests", "bench")]


def without_comments(text):
    """The code with comments and string contents blanked, line numbers kept."""
    def blank(match):
        s = match.group(0)
        if s.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", s)
        return s[0] + " " * (len(s) - 2) + s[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def declared_layers(root):
    """The table in src/meson.build: folder -> folders it may include from."""
    table = Path(root, "src/meson.build").read_text(encoding="utf-8")
    rows = re.findall(r"\['(\w+)',\s*\[([^\]]*)\],\s*\[[^\]]*\]\]", table)
    return {name: set(re.findall(r"'(\w+)'", deps)) for name, deps in rows}


def layers(root):
    """Every #include follows an edge that is declared, every declared edge points down, and ◆ stays static."""
    edges = declared_layers(root)
    if not edges:
        yield "src/meson.build: no layer table found"
    order = list(edges)
    for name, below in edges.items():
        for dep in below:
            if dep not in order or order.index(dep) >= order.index(name):
                yield f"src/meson.build: '{name}' depends on '{dep}', which is not below it"
    for path in files(root, ".c", ".h", below="src"):
        parts = path.relative_to(root).parts
        folder = parts[1]
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            where = f"{path.relative_to(root)}:{number}"
            found = re.match(r'\s*#include ["<]([^">]+)[">]', line)
            if not found:
                continue
            target = found.group(1).split("/")[0]
            if folder in STATIC and found.group(1) in STATIC_BANNED:
                yield f"{where}: '{found.group(1)}' has no place in a folder that links into stage 1"
            if not line.strip().startswith('#include "') or folder == "cli" or target == folder:
                continue
            if target not in edges and target not in ("cli", "stage1"):
                yield f"{where}: include of '{found.group(1)}' does not begin with a folder of src/"
            elif folder == "stage1":
                if target not in STATIC:
                    yield f"{where}: stage 1 may not include from '{target}'"
            elif target not in edges.get(folder, set()):
                yield f"{where}: '{folder}' may not include from '{target}'"


def functions(text):
    """(name, first line, lines, parameters) of each function, by the form clang-format gives them."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line != "{" or i == 0:
            continue
        start = i - 1
        while start > 0 and lines[start - 1] and not lines[start - 1].endswith((";", "}", "*/", '"')) \
                and not lines[start - 1].startswith("#"):
            start -= 1
        head = " ".join(lines[start:i])
        found = re.match(r"[^(=]*?(\w+)\s*\((.*)\)", head)
        if not found or head.startswith(("struct", "enum", "union")) and "(" not in head:
            continue
        end = next((j for j in range(i, len(lines)) if lines[j] == "}"), len(lines) - 1)
        params = re.sub(r"\([^()]*\)", "", found.group(2)).strip()
        params = re.sub(r",?\s*struct err \*err$", "", params)  # every function has that one
        count = 0 if params in ("", "void") else params.count(",") + 1
        yield found.group(1), start + 1, end - start + 1, count


def sizes(root):
    """Files, functions and parameter lists keep to sizes a person can hold in mind."""
    for path in sources(root):
        name = path.relative_to(root)
        text = path.read_text(encoding="utf-8")
        count = text.count("\n")
        if count > FILE_LINES:
            yield f"{name}: {count} lines > {FILE_LINES}"
        for function, line, length, params in functions(without_comments(text)):
            if length > FUNCTION_LINES:
                yield f"{name}:{line}: {function}() has {length} lines > {FUNCTION_LINES}"
            if params > PARAMETERS:
                yield f"{name}:{line}: {function}() has {params} parameters > {PARAMETERS}"


def banned(root):
    """Calls that are never right here."""
    pattern = re.compile(r"(?<![\w>.])(" + "|".join(BANNED) + r")\s*\(")
    for path in sources(root):
        name = str(path.relative_to(root))
        for number, line in enumerate(without_comments(path.read_text(encoding="utf-8")).split("\n"), 1):
            for call in pattern.findall(line):
                if any(c == call and name.startswith(folder) for c, folder in ALLOWED):
                    continue
                yield f"{name}:{number}: {call}(): {BANNED[call]}"


def headers(root):
    """SPDX first; include guards named after the file; no file without a noun."""
    for path in files(root):
        name = path.relative_to(root)
        if name.name in ("util.c", "misc.c", "common.c", "helpers.c", "utils.c"):
            yield f"{name}: a file is named for its noun"
        is_script = path.suffix in (".sh", ".py") or name.name == "meson.build"
        if path.suffix not in (".c", ".h", ".nix") and not is_script:
            continue
        first = path.read_text(encoding="utf-8", errors="replace").split("\n")[:2]
        if not any("SPDX-License-Identifier: MIT" in line for line in first):
            yield f"{name}: no SPDX line"
        if path.suffix == ".h" and name.parts[0] == "src":
            parts = [p for p in name.with_suffix("").parts[1:]]
            guard = re.sub(r"\W", "_", "_".join(parts)).upper() + "_H"
            if f"#ifndef {guard}\n#define {guard}\n" not in path.read_text(encoding="utf-8"):
                yield f"{name}: the include guard is not {guard}"


def style(root):
    """clang-format decides."""
    names = [str(f) for f in sources(root)]
    result = subprocess.run(["clang-format", "--dry-run", *names], capture_output=True, text=True, check=False)
    for line in sorted({l.split(":")[0] for l in result.stderr.split("\n") if "warning:" in l}):
        yield f"{Path(line).relative_to(root)}: run clang-format -i on it"


def shell(root):
    """shellcheck, for every shell script."""
    scripts = [f for f in files(root) if f.suffix == ".sh" or
               re.match(rb"#!.*\b(bash|sh)\b", f.open("rb").readline())]
    result = subprocess.run(
        # Not followed includes, variables of a sourced file or substituted by Nix, "@shell@" as interpreter.
        ["shellcheck", "-s", "bash", "-S", "warning", "-e", "SC1091,SC2154,SC2317,SC2034,SC2239,SC2050,SC2174",
         "-f", "gcc", *map(str, scripts)],
        capture_output=True, text=True, check=False)
    for line in result.stdout.split("\n"):
        if line:
            yield line.replace(str(root) + "/", "")


def packages(root):
    """packages.txt names each package once."""
    seen = set()
    for line in Path(root, "packages.txt").read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            if line in seen:
                yield f"packages.txt: '{line}' stands there twice"
            if not re.fullmatch(r"[a-z0-9][a-z0-9+.:-]+", line):
                yield f"packages.txt: '{line}' is no package name"
            seen.add(line)


def registered(root):
    """Every test is run by Meson."""
    for path in files(root, ".c", ".sh", below="tests"):
        name = path.relative_to(root)
        if name.parts[1] not in ("unit", "cli", "boot", "stage1"):
            continue
        listed = path.parent / "meson.build"
        text = listed.read_text(encoding="utf-8") if listed.is_file() else ""
        if not re.search(rf"\b{re.escape(path.stem)}\b", text):
            yield f"{name}: not in {listed.relative_to(root)}"


CHECKS = {f.__name__: f for f in (layers, sizes, banned, headers, style, shell, packages, registered)}


def main():
    root = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[2]).resolve()
    problems = list(CHECKS[sys.argv[1]](root))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
