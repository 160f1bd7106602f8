#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that each lint check finds what it is for: a small tree with one fault each must be reported, in words."""
import sys
import tempfile
from pathlib import Path

import lint

MESON = "layers = [\n  ['base', [], []], # ◆\n  ['pool', ['base'], []],\n]\n"
GOOD = "/* SPDX-License-Identifier: MIT */\n"

CASES = [
    # check, file, contents, what must be said
    ("layers", "src/base/a.c", '#include "pool/pool.h"\n', "'base' may not include from 'pool'"),
    ("layers", "src/base/a.c", "#include <pthread.h>\n", "'pthread.h' has no place"),
    ("layers", "src/pool/a.c", '#include "err.h"\n', "does not begin with a folder"),
    ("layers", "src/stage1/a.c", '#include "pool/pool.h"\n', "stage 1 may not include from 'pool'"),
    ("layers", "src/meson.build", "layers = [\n  ['a', ['b'], []],\n  ['b', [], []],\n]\n", "not below it"),
    ("sizes", "src/base/a.c", "\n" * 501, "501 lines > 500"),
    ("sizes", "src/base/a.c", "int f(int a,\n\tint b)\n{\n" + "\tx;\n" * 100 + "}\n", "f() has 104 lines > 100"),
    ("sizes", "src/base/a.c", "int f(int a, int b, int c, int d, int e, int (*f)(int, int), int g)\n{\n}\n",
     "f() has 7 parameters > 6"),
    ("banned", "src/base/a.c", "int x = atoi(y);\n", "atoi()"),
    ("headers", "src/base/a.c", "int x;\n", "no SPDX line"),
    ("headers", "src/base/a.h", GOOD + "#ifndef X\n#define X\n#endif\n", "the include guard is not BASE_A_H"),
    ("headers", "src/base/util.c", GOOD, "a file is named for its noun"),
    ("style", "src/base/a.c", "int   f( void ) { return 1; }\n", "run clang-format"),
    ("shell", "tools/a.sh", "#!/bin/bash\nrm -rf \"$1/\"*\n", "SC2115"),
    ("packages", "packages.txt", "gcc\ngcc\n", "stands there twice"),
    ("registered", "tests/cli/forgotten.sh", "#!/bin/bash\n", "not in tests/cli/meson.build"),
]


def reported(check, name, contents):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path, text in {"src/meson.build": MESON, "packages.txt": "gcc\n", ".clang-format":
                           (Path(__file__).parents[2] / ".clang-format").read_text(encoding="utf-8"),
                           name: contents}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return list(lint.CHECKS[check](root))


failed = 0
for check, name, contents, wanted in CASES:
    problems = reported(check, name, contents)
    if not any(wanted in p for p in problems):
        failed += 1
        print(f"{check} on {name}: wanted '{wanted}', got {problems}")
for check in set(lint.CHECKS) - {c[0] for c in CASES}:
    failed += 1
    print(f"{check}: nothing shows that it can fail")
# Comments and strings are not code.
if reported("banned", "src/base/a.c", '/* atoi(x) */ char *s = "system(x)";\n'):
    failed += 1
    print("banned: reports comments or strings")
sys.exit(1 if failed else 0)
