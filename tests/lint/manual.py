#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Help against man pages: `manual.py SNOWBOOT ROOT`. Every command has a page and a test, every option of its help stands in
the page and the other way round, and both show the same synopsis."""
import re
import subprocess
import sys
from pathlib import Path


def text_of_help(program, *words):
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout


def commands(program):
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", text_of_help(program), flags=re.M)


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)", text))


def option_section(page):
    found = re.search(r"^# OPTIONS\n(.*?)(?=^# |\Z)", page, flags=re.M | re.S)
    return "\n".join(l for l in (found.group(1) if found else "").split("\n") if l.startswith("*-"))


def plain(scd):
    return re.sub(r"\s+", " ", re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_]", "", scd))).strip()


def problems(program, root):
    for command in commands(program):
        dashed = command.replace(" ", "-")
        group = command.split(" ")[0]
        page_path = root / f"man/snowboot-{dashed}.1.scd"
        if not page_path.is_file():
            page_path = root / f"man/snowboot-{group}.1.scd"
        if not page_path.is_file():
            yield f"'{command}' has no man page man/snowboot-{dashed}.1.scd"
            continue
        page = page_path.read_text(encoding="utf-8")
        if page_path.stem not in (root / "man/meson.build").read_text(encoding="utf-8"):
            yield f"{page_path.name} is not in man/meson.build"
        if not any((root / "tests/cli" / f"{n}.sh").is_file() for n in (dashed, group)):
            yield f"'{command}' has no test tests/cli/{group}.sh"
        text = text_of_help(program, *command.split(" "))
        in_help = {o for line in text.split("Options:")[1].split("\n")
                   for o in re.findall(r"^ +(?:-\w, +)?--([a-z0-9-]+)", line)}
        in_page = long_options(option_section(page))
        for option in sorted(in_help - in_page):
            yield f"{page_path.name} does not explain --{option} of '{command}'"
        if page_path.name == f"snowboot-{dashed}.1.scd":
            for option in sorted(in_page - in_help):
                yield f"{page_path.name} explains --{option}, which '{command}' does not have"
        usage = plain(re.search(r"^Usage: (.*)$", text, flags=re.M).group(1))
        synopsis = plain(re.search(r"^# SYNOPSIS\n(.*?)(?=^# )", page, flags=re.M | re.S).group(1))
        if usage not in synopsis:
            yield f"{page_path.name}: the synopsis lacks '{usage}'"


found = list(problems(sys.argv[1], Path(sys.argv[2])))
print("\n".join(found))
sys.exit(1 if found else 0)
