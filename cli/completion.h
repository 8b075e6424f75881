// Completion of commands, flags and their values in a shell: scripts made from what is declared.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace altprop::cli {

/// The words that may follow a flag of a command; of no words nothing is noted. Files and folders are
/// known by the type names "<file>" and "<folder>" of options.
void note_values(const CLI::App& command, const std::string& flag, const std::vector<std::string>& values);

/// @param shell bash, zsh or fish
std::string completion_script(const CLI::App& program, const std::string& shell);

void add_completion(CLI::App& program);

}  // namespace altprop::cli
