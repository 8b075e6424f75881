"""The documentation says what the program says: option tables, rule pages, links, and the rule of CONTRIBUTING.md."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import BUILD, altprop

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
RULES = json.loads(subprocess.run([BUILD / "altprop", "list", "rules", "--json"], capture_output=True).stdout)


def test_the_option_tables_are_those_of_the_program():
    done = subprocess.run([sys.executable, ROOT / "tools" / "option_tables.py", "--check", "--build", BUILD],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + "run: make docs"


def test_every_option_is_in_one_table():
    known = {o["name"] for what in ("rules", "directions", "data", "settings") for row in altprop("list", what, "--json").json
             for o in row["options"]}
    tables = [table for page in PAGES for table in re.findall(r"<!-- options: .*?<!-- end -->", page.read_text(), re.S)
              if "options: nets/" not in table]
    documented = [name for table in tables for name in re.findall(r"^\| `([^`]+)` \|", table, re.M)]
    assert sorted(documented) == sorted(known)


def test_every_preset_is_in_one_table():
    page = (ROOT / "docs" / "presets.md").read_text()
    tables = re.findall(r"<!-- presets: .*?<!-- end -->", page, re.S)
    documented = [name for table in tables for name in re.findall(r"^\| `([^`]+)` \|", table, re.M)]
    presets = altprop("list", "presets", "--json").json
    assert sorted(documented) == [row["name"] for row in presets]
    for source in {row["source"].split(" (")[0] for row in presets}:
        assert source in page, f"{source} is not named"


def titles(rule):
    """The pages in whose title the rule is named."""
    named = re.compile(rf"^# (.*`{rule}`.*|{rule})$")
    return [page for page in (ROOT / "docs" / "rules").glob("*.md") if named.match(page.read_text().split("\n")[0])]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_every_rule_has_a_page_that_tells_its_options(rule):
    pages = titles(rule["name"])
    assert len(pages) == 1, f"the title of one page in docs/rules/ must name `{rule['name']}`"
    text = pages[0].read_text()
    own = {o["name"].split(".")[0] for o in rule["options"]} - {"feedback"}
    for prefix in own:
        assert f"<!-- options: {prefix} -->" in text, f"{pages[0].name} has no table of the options {prefix}.*"
    assert re.search(r"assumes", text, re.I) or rule["assumes"] == "nothing"


def links(page):
    """Files that a page links to, code left out."""
    text = re.sub(r"^```.*?^```|^    .*?$", "", page.read_text(), flags=re.S | re.M)
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    return [(page.parent / target).resolve() for target in targets if "://" not in target]


def test_links_lead_somewhere():
    missing = [f"{page.name}: {target}" for page in PAGES for target in links(page) if not target.exists()]
    assert not missing


def test_every_page_can_be_reached_from_the_readme():
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            left += [target for target in links(page) if target.suffix == ".md"]
    assert set(PAGES) <= reached


def test_lines_fit():
    for page in PAGES:
        for number, line in enumerate(page.read_text().split("\n"), 1):
            assert len(line) <= 120 or line.startswith("|") or "](http" in line, f"{page.name}:{number}"


@pytest.mark.parametrize("file", ["partial_sign.cpp", "activity_perturbation.cpp"])
def test_the_rules_in_the_contributors_guide_are_those_that_are_tested(file):
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.search(file.replace(".", r"\.") + r"`:\n\n```cpp\n(.*?)```", guide, re.S)[1]
    assert shown == (ROOT / "tests" / "proof" / file).read_text()
