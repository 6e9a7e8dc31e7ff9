# Finds llhttp, the HTTP parser of Node.js, in one of two forms:
#
#   Llhttp_PACKAGE_TARGET   the target of upstream's own CMake package, where there is one
#   Llhttp_SOURCES          otherwise the C sources that Debian ships in node-llhttp, to be compiled
#   Llhttp_INCLUDE_DIR      into the library that uses them, and the directory of their llhttp.h
#
# Llhttp_ROOT or CMAKE_PREFIX_PATH name other places for either. Llhttp_VERSION is set for both.

set(Llhttp_PACKAGE_TARGET "")
set(Llhttp_SOURCES "")

find_package(llhttp CONFIG QUIET HINTS ${Llhttp_ROOT})
if(llhttp_FOUND)
  foreach(target IN ITEMS llhttp::llhttp_static llhttp::llhttp_shared llhttp::llhttp)
    if(TARGET ${target})
      set(Llhttp_PACKAGE_TARGET ${target})
      break()
    endif()
  endforeach()
  set(Llhttp_VERSION "${llhttp_VERSION}")
endif()

if(NOT Llhttp_PACKAGE_TARGET)
  find_path(Llhttp_INCLUDE_DIR llhttp.h PATH_SUFFIXES llhttp share/include/llhttp
    HINTS /usr/share/include/llhttp)
  find_path(Llhttp_SOURCE_DIR llhttp.c PATH_SUFFIXES share/llhttp src
    HINTS /usr/share/llhttp)
  mark_as_advanced(Llhttp_INCLUDE_DIR Llhttp_SOURCE_DIR)
  if(Llhttp_INCLUDE_DIR AND Llhttp_SOURCE_DIR)
    set(Llhttp_SOURCES
      ${Llhttp_SOURCE_DIR}/api.c ${Llhttp_SOURCE_DIR}/http.c ${Llhttp_SOURCE_DIR}/llhttp.c)
    file(STRINGS ${Llhttp_INCLUDE_DIR}/llhttp.h version_lines
      REGEX "^#define LLHTTP_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
    list(TRANSFORM version_lines REPLACE "^.* " "")
    list(JOIN version_lines "." Llhttp_VERSION)
  endif()
endif()

if(Llhttp_PACKAGE_TARGET OR Llhttp_SOURCES)
  set(Llhttp_FORM "${Llhttp_PACKAGE_TARGET}${Llhttp_SOURCE_DIR}")
else()
  set(Llhttp_FORM "Llhttp_FORM-NOTFOUND")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Llhttp
  REQUIRED_VARS Llhttp_FORM
  VERSION_VAR Llhttp_VERSION
  REASON_FAILURE_MESSAGE
    "neither upstream's CMake package (https://github.com/nodejs/llhttp) nor Debian's source \
package is here. On Debian: apt-get install node-llhttp")
