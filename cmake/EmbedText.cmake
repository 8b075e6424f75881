# Writes OUT, a C++ file that defines each of FILES ("name=path|name=path:path") as a std::string_view in NAMESPACE, as
# HEADER declares them; several paths are joined in their order. Literals are cut into chunks because compilers limit
# their length.
# Called as: cmake -DHEADER=... -DNAMESPACE=... -DFILES=... -DOUT=... -P this
set(code "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
string(REPLACE "|" ";" FILES "${FILES}")
foreach(pair IN LISTS FILES)
  string(REGEX MATCH "(.*)=(.*)" _ ${pair})
  set(name ${CMAKE_MATCH_1})
  string(REPLACE ":" ";" paths "${CMAKE_MATCH_2}")
  set(text "")
  foreach(path IN LISTS paths)
    file(READ "${path}" part)
    string(APPEND text "${part}")
  endforeach()
  string(LENGTH "${text}" length)
  string(APPEND code "\nconst std::string_view ${name} =")
  foreach(start RANGE 0 ${length} 8000)
    string(SUBSTRING "${text}" ${start} 8000 chunk)
    string(APPEND code "\nR\"~~~(${chunk})~~~\"")
  endforeach()
  string(APPEND code ";\n")
endforeach()
file(WRITE "${OUT}" "${code}\n}  // namespace ${NAMESPACE}\n")
