# What the libraries stand on. The programs, tests and benchmarks look for their own packages in
# their own directories.

function(quintet_missing_package name hint)
  message(FATAL_ERROR "Quintet: ${name} was not found. ${hint}")
endfunction()

find_package(Threads REQUIRED)

find_package(absl CONFIG QUIET)
if(NOT absl_FOUND)
  quintet_missing_package("abseil" "On Debian: apt-get install libabsl-dev")
endif()

if(QUINTET_WITH_IO_URING)
  find_package(Liburing QUIET)
  if(NOT Liburing_FOUND)
    quintet_missing_package("liburing"
      "On Debian: apt-get install liburing-dev; or build without the io_uring backend: \
-DQUINTET_WITH_IO_URING=OFF")
  endif()
endif()

find_package(Llhttp REQUIRED)
