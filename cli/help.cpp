// `altprop help`, and what help texts have in common.
#include <algorithm>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "command.h"

namespace altprop::cli {

CLI::App* command_named(CLI::App& program, const std::string& name) {
  std::vector<std::string> known;
  for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
    known.push_back(command->get_name());
  }
  throw UsageError("there is no command '" + name + "'" + text::suggestion(name, known));
}

void add_examples(CLI::App& command, const std::vector<std::string>& lines) {
  std::string text = command.get_footer();
  text += text.empty() ? "Examples:" : "\n\nExamples:";
  for (const std::string& line : lines) text += "\n  altprop " + line;
  command.footer(text);
}

void add_help(CLI::App& program) {
  CLI::App* app = program.add_subcommand("help", "Print the help text of a command");
  auto name = std::make_shared<std::string>();
  app->add_option("command", *name, "name of a command; without one: of the program");
  CLI::App* all = &program;
  app->callback([=] {
    const CLI::App* of = name->empty() ? all : command_named(*all, *name);
    // App::help would be that of the command which was given, this one.
    const std::string called = all->get_name() + (name->empty() ? "" : " " + *name);
    std::printf("%s", of->get_formatter()->make_help(of, called, CLI::AppFormatMode::Normal).c_str());
  });
}

}  // namespace altprop::cli
