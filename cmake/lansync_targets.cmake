# Warnings, sanitizers and labels in one place: a target says only what it is made of.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(LANSYNC_CCACHE ccache)
if(LANSYNC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LANSYNC_CCACHE})
endif()

add_library(lansync_flags INTERFACE)
target_include_directories(lansync_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(lansync_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wconversion
  -Wno-sign-conversion
  # gcc 12 reports uninitialised members of std::optional and std::variant that it cannot see set.
  # With -O3 it also warns of a string after a literal (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(LANSYNC_WERROR)
  target_compile_options(lansync_flags INTERFACE -Werror)
endif()
if(LANSYNC_SANITIZE)
  target_compile_options(lansync_flags INTERFACE
    -fsanitize=${LANSYNC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lansync_flags INTERFACE -fsanitize=${LANSYNC_SANITIZE})
endif()

# lansync_library(NAME SOURCES... [DEPENDS targets...])
function(lansync_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC lansync_flags ${ARG_DEPENDS})
endfunction()

# lansync_test(NAME SOURCES... DEPENDS targets... [LABEL unit|sim] [EACH_FILE])
# EACH_FILE: one ctest entry for each source, so that the cores share what takes minutes.
function(lansync_test name)
  cmake_parse_arguments(ARG "EACH_FILE" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  # Under sanitizers all takes ten times as long.
  set(timeout 300)
  if(LANSYNC_SANITIZE)
    set(timeout 1200)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lansync_flags lansync_test_main ${ARG_DEPENDS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  if(NOT ARG_EACH_FILE)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${timeout})
    return()
  endif()
  foreach(source IN LISTS ARG_SOURCES)
    get_filename_component(file ${source} NAME_WE)
    add_test(NAME ${name}_${file} COMMAND ${name} --filenames-as-tags --warn NoTests "[#${file}]")
    set_tests_properties(${name}_${file} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${timeout})
  endforeach()
endfunction()

# lansync_reads_sources(FILE...): tests that read files of the source tree. Only they know its path, so that all
# other objects are the same bytes whatever the checkout is called, and a compiler cache serves every checkout.
function(lansync_reads_sources)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_DEFINITIONS LANSYNC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endfunction()
