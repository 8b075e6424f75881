// Presets: the settings of published experiments, by name. A preset is declared once, in the file
// of its source in train/presets/, and registers itself:
//
//   const RegisterPresets registered({{.name = "corinfomax-mnist", .summary = "...", ...}});
//
// From the declaration come --preset of all commands that take settings, `altprop list presets`
// and the tables of docs/presets.md.
#pragma once

#include "altprop/train/settings.h"

namespace altprop {

struct Preset {
  std::string name;       ///< words joined by hyphens
  std::string summary;    ///< what learns what with which rule, a clause
  std::string source;     ///< authors, year, arXiv id; where the settings were taken from
  std::string settings;   ///< TOML as of --config; what it leaves out has its default
  std::string published;  ///< the published figure and what it is a mean of; "" if there is none
  std::string measured;   ///< the figure that a run of this preset gave, with seeds and version;
                          ///< "" until there was one
  std::string differs;    ///< what is unknown or otherwise than in the publication; "" nothing
};

struct RegisterPresets {
  explicit RegisterPresets(std::vector<Preset> presets);
};

/// By name.
const std::vector<Preset>& presets();
/// @throws UsageError with the nearest name
const Preset& preset(const std::string& name);

/// Takes the preset's settings over and notes its name; what it does not name stays. @throws
/// UsageError for an unknown name
void apply_preset(RunSettings& settings, const std::string& name);

/// After other settings were put above the preset's: drops the options that it gave its rule if the
/// rule is another now, and those that it gave its data set and another does not have.
/// @returns a sentence about options of the data set that were dropped; "" if none were
std::string drop_foreign_options(RunSettings& settings);

/// One object per preset: its fields, its rule, and the settings by name.
nlohmann::json preset_listing();

}  // namespace altprop
