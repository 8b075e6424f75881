#!/usr/bin/env python3
"""Runs clang-tidy over src/, cli/, examples/ and tests/ and fails if it has anything to say.

Nearly all the time goes into libtorch's headers, so source files are checked in groups that share one translation unit.
Two files that define the same name for themselves (in an unnamed namespace) go to different groups; should a group not
compile all the same, it is halved.

usage: tools/tidy.py [--jobs N] [FILE...]
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-tidy"  # configured only: gives the compile commands without precompiled headers and ccache
GROUP = 32  # files that share a translation unit, at most
RENAMED = ("registered", "main")  # names that many files define: each file of a group gets one of its own
WARNING = re.compile(r"^(/\S+?:\d+:\d+): (warning|error): (.*)$", re.MULTILINE)


def configure():
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCCACHE=OFF",
                    "-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON"], check=True, stdout=subprocess.DEVNULL)
    return json.loads((BUILD / "compile_commands.json").read_text())


def common_flags(database):
    """All include paths and definitions of the project; optimisation does not matter here."""
    flags = []
    for entry in database:
        words = shlex.split(entry["command"])[1:]
        for at, word in enumerate(words):
            if word == "-isystem":
                pair = (word, words[at + 1])
            elif word.startswith(("-I", "-D", "-std=", "-W")):
                pair = (word,)
            else:
                continue
            if pair not in flags:
                flags.append(pair)
    return [word for pair in flags for word in pair]


def bare(text):
    """Without comments, literals and preprocessor lines."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', lambda m: '""' if m[0][0] == '"' else " ", text,
                  flags=re.DOTALL)
    text = re.sub(r"'(?:\\.|[^'\\\n])'", "0", text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.MULTILINE)


def declared(statement):
    statement = re.sub(r"^\s*template\s*<.*?>\s*(?=\w)", "", statement, flags=re.DOTALL)
    if found := re.match(r"\s*(?:TEST\w*|INSTANTIATE\w*)\s*\(([^)]*)", statement):
        return re.sub(r"\W+", "_", found[1])
    if re.match(r"\s*using\s+namespace\b", statement):
        return None
    if found := re.search(r"\b(?:struct|class|enum class|enum|using)\s+(\w+)", statement):
        return found[1]
    head = re.split(r"[=({\[]", re.sub(r"<[^<>]*>", "", statement), maxsplit=1)[0]
    words = re.findall(r"(?:\w+::)*~?\w+", head)
    return words[-1] if words and "::" not in words[-1] else None


def names(path):
    """(names that the file defines for itself, names that it defines for everybody), as well as a scan can tell."""
    own, shared = set(), set()
    scopes, start = [], 0  # scopes: "named" and "unnamed" namespaces, "body" for any other brace
    text = bare(path.read_text())
    for found in re.finditer(r"[{};]", text):
        inside = "body" in scopes
        statement = text[start:found.start()]
        if not inside and statement.strip() and not re.match(r"\s*(inline\s+)?namespace\b", statement):
            if (name := declared(statement)) and name not in RENAMED:
                alone = "unnamed" in scopes or re.match(r"\s*static\b", statement)
                (own if alone else shared).add(name)
        if found[0] == "{":
            space = re.search(r"\bnamespace(\s+[\w:]+)?\s*$", statement)
            scopes.append("body" if not space or inside else "named" if space[1] else "unnamed")
        elif found[0] == "}" and scopes:
            scopes.pop()
        start = found.end()
    return own, shared


def grouped(paths):
    groups = []  # (files, their own names, all their names)
    for path in paths:
        own, shared = names(path)
        for group in groups:
            if len(group[0]) < GROUP and not own & group[2] and not (own | shared) & group[1]:
                break
        else:
            group = ([], set(), set())
            groups.append(group)
        group[0].append(path)
        group[1].update(own)
        group[2].update(own | shared)
    return [group[0] for group in groups]


def tidy(tool, flags, number, paths):
    unit = BUILD / "tidy" / f"group{number}.cpp"
    unit.write_text("".join("".join(f"#undef {name}\n#define {name} {name}_{at}\n" for name in RENAMED)
                            + f'#include "{path}"\n' for at, path in enumerate(paths)))
    done = subprocess.run([tool, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(unit), "--", "-x", "c++", *flags],
                          capture_output=True, text=True)
    if "clang-diagnostic-error" in done.stdout and len(paths) > 1:
        half = len(paths) // 2
        return (tidy(tool, flags, f"{number}_0", paths[:half]) | tidy(tool, flags, f"{number}_1", paths[half:]))
    if done.returncode and not done.stdout:
        return {done.stderr.strip()}
    return {m[0].replace(f"{ROOT}/", "") for m in WARNING.finditer(done.stdout)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    tool = shutil.which("clang-tidy-15")
    if not tool:
        sys.exit("tidy: clang-tidy-15 is missing; install the package clang-tidy-15")
    database = configure()
    wanted = {path.resolve() for path in arguments.files}
    # A file that several targets compile is checked once.
    paths = sorted({path for path in (pathlib.Path(entry["file"]) for entry in database)
                    if BUILD not in path.parents and (not wanted or path in wanted)})
    if not paths or wanted - set(paths):
        sys.exit("tidy: not among the sources that are built: " + ", ".join(map(str, wanted - set(paths))))
    groups = grouped(paths)
    (BUILD / "tidy").mkdir(exist_ok=True)
    print(f"{len(paths)} files in {len(groups)} groups", flush=True)
    found = set()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        work = [pool.submit(tidy, tool, common_flags(database), at, group) for at, group in enumerate(groups)]
        for done in concurrent.futures.as_completed(work):
            for line in sorted(done.result() - found):
                print(line, flush=True)
            found |= done.result()
    print(f"{len(found)} warnings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
