# Warnings and sanitizers. Directory properties rather than target properties: they reach everything
# below this directory and nothing of a project that includes this one or links the libraries.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

add_compile_options(
  $<$<COMPILE_LANGUAGE:CXX>:-Wall>
  $<$<COMPILE_LANGUAGE:CXX>:-Wextra>
  $<$<COMPILE_LANGUAGE:CXX>:-Wshadow>
  $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  $<$<COMPILE_LANGUAGE:CXX>:-Wextra-semi>
  $<$<COMPILE_LANGUAGE:CXX>:-Wvla>
  # Part of -Wconversion in clang's C++, but not in that of g++.
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-sign-conversion>)

if(QUINTET_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QUINTET_FUZZ needs libFuzzer, which is clang's: use the preset fuzz.")
  endif()
  # What the inputs reach is seen in all code; main() comes with the fuzzers alone.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(QUINTET_SANITIZE)
  if(NOT QUINTET_SANITIZE MATCHES "^(address|address,undefined|thread|undefined)$")
    message(FATAL_ERROR "QUINTET_SANITIZE is \"${QUINTET_SANITIZE}\"; allowed: address, thread, "
      "undefined, \"address,undefined\" or empty.")
  endif()
  set(quintet_sanitize_flags -fsanitize=${QUINTET_SANITIZE} -fno-omit-frame-pointer)
  if(QUINTET_SANITIZE MATCHES "undefined")
    # Without the first a finding is printed and the test passes. The check of vtable pointers probes
    # memory through a pipe: where a test has used up the descriptors it sees errors everywhere.
    list(APPEND quintet_sanitize_flags -fno-sanitize-recover=all -fno-sanitize=vptr)
  endif()
  add_compile_options(${quintet_sanitize_flags})
  add_link_options(${quintet_sanitize_flags})
endif()
