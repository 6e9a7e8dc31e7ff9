# quintet_fuzz(<name> [SOURCES <file>...] [LIBS <target>...])
#
# The fuzz target tests/fuzz/<name>_fuzz.cc, linked up to twice: as a test "fuzz/<name>" that runs it
# on the files of tests/fuzz/corpus/<name>, and, where QUINTET_FUZZ is on, with libFuzzer as
# <name>_fuzz, which target fuzz_targets builds. SOURCES are relative to tests/.
function(quintet_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "quintet_fuzz(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()

  # Objects, not an archive: nothing of libFuzzer's main() would ask an archive for the target.
  add_library(fuzz_${name}_objects OBJECT fuzz/${name}_fuzz.cc fuzz/cuts.cc ${arg_SOURCES})
  target_link_libraries(fuzz_${name}_objects PUBLIC quintet_test_support ${arg_LIBS})

  add_executable(fuzz_${name} fuzz/replay_main.cc)
  target_link_libraries(fuzz_${name} PRIVATE fuzz_${name}_objects)
  add_test(NAME fuzz/${name}
    COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 300 LABELS fuzz)

  if(QUINTET_FUZZ)
    add_executable(${name}_fuzz fuzz/abort_on_failure.cc)
    target_link_libraries(${name}_fuzz PRIVATE fuzz_${name}_objects)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name}_fuzz)
  endif()
endfunction()

if(QUINTET_FUZZ)
  add_custom_target(fuzz_targets)
endif()
