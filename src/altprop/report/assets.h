// The files of assets/, compiled in by cmake/EmbedText.cmake.
#pragma once

#include <string_view>

namespace altprop::report::assets {

extern const std::string_view
    page;  ///< page.html, with the places {{style}}, {{data}} and {{script}}
extern const std::string_view style;   ///< style.css
extern const std::string_view script;  ///< the scripts, joined

}  // namespace altprop::report::assets
