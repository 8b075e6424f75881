#include "completion.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "altprop/base/text.h"

namespace altprop::cli {

namespace {

using Values = std::map<std::pair<const CLI::App*, std::string>, std::vector<std::string>>;
Values& noted() {
  static Values values;
  return values;
}

std::vector<std::string> values_after(const CLI::App& command, const std::string& flag) {
  const auto found = noted().find({&command, flag});
  return found == noted().end() ? std::vector<std::string>() : found->second;
}

struct Flag {
  std::string name, help;
  bool takes_value;
  const char* paths;  ///< "files" or "folders" if the value is one, else null
  std::vector<std::string> values;
};

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

/// Options that begin with dashes, and the one sentence on each; with those of commands below.
std::vector<Flag> flags_of(const CLI::App& command) {
  std::vector<Flag> out;
  for (const CLI::Option* option : command.get_options())
    if (const std::string name = option->get_name(); name.starts_with("--"))
      out.push_back({name, option->get_description(), option->get_items_expected_max() > 0,
                     option->get_type_name() == "<file>"     ? "files"
                     : option->get_type_name() == "<folder>" ? "folders"
                                                             : nullptr,
                     values_after(command, name)});
  for (const CLI::App* below : commands_of(command))
    for (Flag& flag : flags_of(*below))
      if (flag.name != "--help") out.push_back(std::move(flag));
  return out;
}

bool of_folders(const Flag& flag) { return flag.paths == std::string("folders"); }

/// In single quotes, for a shell.
std::string shell_quoted(const std::string& s) {
  std::string out = "'";
  for (const char c : s) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// A word for `compgen -W`, which splits and expands its list once more.
std::string words(const std::vector<std::string>& list) {
  std::vector<std::string> out;
  for (const std::string& word : list) {
    std::string escaped;
    for (const char c : word) {
      if (std::string(" \t\\\"'$`*?[]{}()<>|&;#~!").find(c) != std::string::npos) escaped += '\\';
      escaped += c;
    }
    out.push_back(escaped);
  }
  return shell_quoted(text::join(out, " "));
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> out;
  for (const CLI::App* command : commands) out.push_back(command->get_name());
  return out;
}

std::string bash(const CLI::App& program) {
  std::string by_command;
  for (const CLI::App* command : commands_of(program)) {
    std::vector<std::string> flags;
    std::string by_flag;
    for (const Flag& flag : flags_of(*command)) {
      flags.push_back(flag.name);
      const std::string how = flag.paths ? (of_folders(flag) ? "-d" : "-f")
                              : flag.values.empty() ? "" : "-W " + words(flag.values);
      if (!how.empty())
        by_flag += text::cat("        ", flag.name, ") COMPREPLY=($(compgen ", how, " -- \"$word\")); return ;;\n");
    }
    by_command += text::cat("    ", command->get_name(), ")\n      case $before in\n", by_flag,
                            "      esac\n      flags=", words(flags), "\n      below=",
                            words(names_of(commands_of(*command))), " ;;\n");
  }
  return text::cat(R"(# Completion of altprop for bash: source <(altprop completion bash)
_altprop() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} flags='' below=''
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W )",
                   words(names_of(commands_of(program))), R"( -- "$word"))
    return
  fi
  case ${COMP_WORDS[1]} in
)",
                   by_command, R"(  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ $below && COMP_CWORD -eq 2 ]]; then
    COMPREPLY=($(compgen -W "$below" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -F _altprop altprop
)");
}

/// For a description or a value of zsh's _arguments, inside of quotes.
std::string plain(const std::string& s, const char* escaped) {
  std::string out;
  for (const char c : s) {
    if (std::string(escaped).find(c) != std::string::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string zsh(const CLI::App& program) {
  std::string commands, cases;
  for (const CLI::App* command : commands_of(program)) {
    commands += text::cat("    ", shell_quoted(plain(command->get_name(), ":") + ":" + command->get_description()), "\n");
    cases += text::cat("    ", command->get_name(), ") _arguments");
    for (const Flag& flag : flags_of(*command)) {
      std::string spec = flag.name + "[" + plain(flag.help, "[]:\\") + "]";
      if (flag.takes_value) {
        spec += ":value:";
        if (flag.paths) {
          spec += of_folders(flag) ? "_files -/" : "_files";
        } else if (!flag.values.empty()) {
          std::vector<std::string> escaped;
          for (const std::string& value : flag.values) escaped.push_back(plain(value, " \\():\"'$`[]{}*?<>|&;#~"));
          spec += "(" + text::join(escaped, " ") + ")";
        }
      }
      cases += " \\\n      " + shell_quoted(spec);
    }
    cases += " \\\n      '*:file:_files' ;;\n";
  }
  return text::cat(R"(#compdef altprop
# Completion of altprop for zsh: altprop completion zsh > a folder of $fpath, as _altprop
_altprop() {
  local -a commands
  commands=(
)",
                   commands, R"(  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
)",
                   cases, R"(  esac
}
if [ "$funcstack[1]" = _altprop ]; then _altprop "$@"; else compdef _altprop altprop; fi
)");
}

std::string fish(const CLI::App& program) {
  std::string out =
      "# Completion of altprop for fish: altprop completion fish > ~/.config/fish/completions/altprop.fish\n";
  const auto in_quotes = [](const std::string& s) { return "'" + plain(s, "'\\") + "'"; };
  for (const CLI::App* command : commands_of(program)) {
    const std::string name = command->get_name();
    out += text::cat("complete -c altprop -n __fish_use_subcommand -f -a ", name, " -d ", in_quotes(command->get_description()), "\n");
    for (const Flag& flag : flags_of(*command)) {
      out += text::cat("complete -c altprop -n '__fish_seen_subcommand_from ", name, "' -l ", flag.name.substr(2));
      if (flag.takes_value) {
        out += flag.paths ? " -r -F" : " -x";
        if (!flag.values.empty() && !flag.paths) {
          std::vector<std::string> escaped;
          for (const std::string& value : flag.values) escaped.push_back(plain(value, " \\'\"$()[]{}*?<>|&;#~"));
          out += " -a " + in_quotes(text::join(escaped, " "));
        }
      }
      out += " -d " + in_quotes(flag.help) + "\n";
    }
  }
  return out;
}

}  // namespace

void note_values(const CLI::App& command, const std::string& flag,
                 const std::vector<std::string>& values) {
  if (!values.empty()) noted()[{&command, flag}] = values;
}

std::string completion_script(const CLI::App& program, const std::string& shell) {
  return shell == "bash" ? bash(program) : shell == "zsh" ? zsh(program) : fish(program);
}

void add_completion(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "completion", "Print a script that completes commands, flags and their values in a shell");
  auto shell = std::make_shared<std::string>();
  app->add_option("shell", *shell, "bash|zsh|fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  const CLI::App* all = &program;
  app->callback([=] { std::printf("%s", completion_script(*all, *shell).c_str()); });
}

}  // namespace altprop::cli
