// What a mistyped name was probably meant to be.
#ifndef QUINTET_APPS_PROGRAM_NEAREST_H_
#define QUINTET_APPS_PROGRAM_NEAREST_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace quintet::program {

// The least number of characters to insert, delete or replace to turn one into the other.
size_t EditDistance(std::string_view a, std::string_view b);

// The candidate with the least edit distance, the first of several. `candidates` is not empty.
const std::string& Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_NEAREST_H_
