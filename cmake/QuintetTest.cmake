include(GoogleTest)

# quintet_test(<path> [SOURCES <file>...] [LIBS <target>...] [LABELS <label>...] [TIMEOUT <seconds>]
#              [SERIAL])
#
# Builds <path>.cc, for example reactor/timer_wheel_test, and further SOURCES into one executable and
# registers each of its test cases with ctest as "reactor/timer_wheel_test.Suite.Case". The first
# part of the path is a label by itself. SERIAL keeps everything else off the machine meanwhile: for
# tests that measure CPU time or use up a limit of the process table.
function(quintet_test path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "SOURCES;LIBS;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "quintet_test(${path}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  string(REPLACE "/" "_" target ${path})
  string(REGEX MATCH "^[^/]+" layer ${path})

  add_executable(${target} ${path}.cc ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE quintet_test_support GTest::gmock_main ${arg_LIBS})

  set(properties TIMEOUT ${arg_TIMEOUT} LABELS "${layer};${arg_LABELS}")
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  # At test time, not at build time: a program built with a sanitizer may need a prepared environment
  # even to list its tests.
  gtest_discover_tests(${target}
    TEST_PREFIX "${path}."
    NO_PRETTY_VALUES
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES ${properties})
endfunction()
