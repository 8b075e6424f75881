#!/usr/bin/env python3
"""Writes the option tables of the documentation from the program's own listings.

A table stands between two marks and is replaced as a whole:

    <!-- options: kp -->            options of a rule, direction or data set that begin with `kp.`
    <!-- options: nets/mlp -->      options of a network
    <!-- options: data -->          options of every data set
    <!-- options: settings -->      settings of a run
    <!-- presets: corinfomax -->    presets whose names begin with `corinfomax`
    <!-- index: rules -->           all rules, each with its page
    <!-- end -->

usage: tools/option_tables.py [--check] [--build DIR]
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- (options|presets|index): (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def listings(program):
    return {what: json.loads(subprocess.run([program, "list", what, "--json"], check=True, capture_output=True).stdout)
            for what in ("rules", "nets", "data", "directions", "settings", "presets")}


def options_of(mark, listed):
    """The options that a mark stands for, each once."""
    kind, _, name = mark.partition("/")
    if name:
        rows = [row["options"] for row in listed[kind] if row["name"] == name]
    elif kind == "settings":
        rows = [listed["settings"][0]["options"]]
    else:
        rows = [row["options"] for what in ("rules", "directions", "data") for row in listed[what]]
    found = {}
    for option in (option for row in rows for option in row):
        prefix = option["name"].rpartition(".")[0]
        if name or kind == "settings" or prefix == ("" if kind == "data" else kind):
            found.setdefault(option["name"], option)
    return list(found.values())


def cell(text):
    return text.replace("|", r"\|")


def values(option):
    if option["type"] == "flag":
        return "`true`, `false`"
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    given = option.get("range", "")
    if not given:
        return "whole number" if option["type"] == "integer" else option["type"]
    return ", ".join(f"`{part}`" if " " not in part else part for part in given.split("|"))


def table(options):
    lines = ["| option | default | values | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for option in options:
        default = f"`{option['default']}`" if option["default"] else ""
        meaning = option["help"] + (f" ({option['source']})" if "source" in option else "")
        unit = option.get("unit", "")
        lines.append(f"| `{option['name']}` | {default} | {cell(values(option))} | {unit} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def preset_table(presets):
    lines = ["| preset | what it is | published | measured here | otherwise than published |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| `{row['name']}` | {cell(row['summary'])} | {cell(row['published'])} | {cell(row['measured'])} | {cell(row['differs'])} |"
              for row in presets]
    return "\n".join(lines) + "\n"


def titles():
    """Names in the titles of the pages on rules -> page."""
    found = {}
    for page in sorted((ROOT / "docs" / "rules").glob("*.md")):
        title = page.read_text().splitlines()[0]
        for name in re.findall(r"`([^`]+)`", title) or [title.removeprefix("# ")]:
            found[name] = page.name
    return found


def index(rules):
    pages = titles()
    lines = ["| rule | what it does | it assumes | source |", "| --- | --- | --- | --- |"]
    for row in rules:
        if row["name"] not in pages:
            raise SystemExit(f"no page in docs/rules/ has the rule '{row['name']}' in its title")
        names = ", ".join(f"`{name}`" for name in [row["name"], *row["aliases"]])
        lines.append(f"| [{names}]({pages[row['name']]}) | {cell(row['summary'])} | {cell(row['assumes'])} | {cell(row['source'])} |")
    return "\n".join(lines) + "\n"


def rewritten(text, listed, where):
    def replace(found):
        kind, mark = found[2], found[3]
        if kind == "index":
            return found[1] + index(listed[mark]) + found[5]
        if kind == "options":
            rows = options_of(mark, listed)
        else:
            rows = [row for row in listed["presets"] if row["name"].startswith(mark)]
        if not rows:
            raise SystemExit(f"{where}: there are no {kind} '{mark}'")
        return found[1] + (table if kind == "options" else preset_table)(rows) + found[5]

    return MARKED.sub(replace, text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table is out of date")
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    arguments = parser.parse_args()
    listed = listings(arguments.build / "altprop")
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        wanted = rewritten(text, listed, page.relative_to(ROOT))
        if wanted != text:
            stale.append(str(page.relative_to(ROOT)))
            if not arguments.check:
                page.write_text(wanted)
    if stale:
        print(("out of date: " if arguments.check else "written: ") + ", ".join(stale))
    sys.exit(1 if stale and arguments.check else 0)


if __name__ == "__main__":
    main()
