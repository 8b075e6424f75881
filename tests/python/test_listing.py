"""Rules and their options, as the package lists and explains them."""
import subprocess

import pytest
from package import BUILD, altprop


def printed(capsys, rule):
    assert altprop.help(rule) is None
    return capsys.readouterr().out


def test_help_tells_all_that_is_declared_of_every_rule(capsys):
    rules = altprop.rules()
    assert len(rules) > 10
    for rule in rules:
        text = printed(capsys, rule["name"])
        one_line = " ".join(text.split())
        for part in (rule["summary"], rule["source"], *rule["aliases"]):
            assert " ".join(part.split()) in one_line, rule["name"]
        for option in rule["options"]:
            assert f"\n  {option['name']} = {option['default'] or repr('')}\n" in text, (rule["name"], option["name"])
            assert " ".join(option["help"].split()) in one_line, (rule["name"], option["name"])
        assert max(map(len, text.splitlines())) <= 120, rule["name"]


def test_help_takes_aliases_and_rules(capsys):
    expected = printed(capsys, "feedback-alignment")
    assert expected.startswith("feedback-alignment (fa")
    assert printed(capsys, "fa") == expected
    assert printed(capsys, altprop.Rule("fa")) == expected


@pytest.mark.parametrize("what", ["feedback-alignmnt", "", None, 3, altprop.Rule])
def test_help_refuses_what_is_no_rule_in_a_sentence(what):
    with pytest.raises(altprop.UsageError) as found:
        altprop.help(what)
    assert str(found.value) and "\n" not in str(found.value)


def test_a_notebook_shows_the_rules_as_a_table():
    rules = altprop.rules()
    table = rules._repr_html_()
    assert isinstance(rules, list) and table.count("<tr>") == len(rules) + 1
    rules[0]["summary"] = "a < b & c"
    assert "<td>a &lt; b &amp; c</td>" in rules._repr_html_() and "a < b" not in rules._repr_html_()


def test_the_program_lists_the_same_rules():
    program = subprocess.run([BUILD / "altprop", "list", "rules"], capture_output=True, text=True, check=True).stdout
    for rule in altprop.rules():
        assert rule["name"] in program.split(), rule["name"]
