"""What rules there are, and what the options of each do: from the declarations that the command line shows."""
import html
import textwrap

from . import _core

_COLUMNS = ("name", "aliases", "summary", "source")


class Rules(list):
    """The rules as a list of dicts, which a notebook shows as a table."""

    def _repr_html_(self):
        def row(tag, cells):
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = (row("td", (rule["name"], ", ".join(rule["aliases"]), rule["summary"], rule["source"])) for rule in self)
        return f"<table><thead>{row('th', _COLUMNS)}</thead><tbody>{''.join(body)}</tbody></table>"


def rules():
    """What there is: a list of dicts with name, aliases, summary, source and options."""
    return Rules(_core.rules())


def described(name):
    """The text that help prints.

    @raises UsageError if there is no such rule
    """
    found = _core.rule_name(name)
    rule = next(one for one in _core.rules() if one["name"] == found)
    aliases = f" ({', '.join(rule['aliases'])})" if rule["aliases"] else ""
    lines = [f"{found}{aliases}", *_indented(rule["summary"], 2), *_indented(f"Source: {rule['source']}", 2), "",
             "Options:" if rule["options"] else "No options."]
    for option in rule["options"]:
        lines.append(f"  {option['name']} = {option['default'] or repr('')}")
        lines += _indented(option["help"], 6)
    return "\n".join(lines)


def _indented(text, spaces):
    return textwrap.wrap(text, 100, initial_indent=" " * spaces, subsequent_indent=" " * spaces,
                         break_long_words=False, break_on_hyphens=False)


def help(rule):  # noqa: A001  the package's own help, as altprop.help
    """Prints what a rule does, its source, and its options with their defaults.

    @param rule  a name or alias of `altprop.rules()`, or an altprop.Rule
    """
    name = getattr(rule, "name", rule)
    if not isinstance(name, str):
        raise _core.UsageError(f"help: {rule!r} is no rule; give a name of altprop.rules(), or an altprop.Rule")
    print(described(name))
