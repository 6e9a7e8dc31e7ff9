// One input, cut in several ways: what a stream may do to it on its way.
#ifndef QUINTET_TESTS_FUZZ_CUTS_H_
#define QUINTET_TESTS_FUZZ_CUTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quintet::testing {

using Pieces = std::vector<std::string_view>;

// What libFuzzer gives, as text.
std::string_view InputText(const uint8_t* data, size_t size);

// Octet by octet, in short pieces and in long ones. Where the last two are cut depends on the bytes
// alone, so that a finding can be replayed, and differs between inputs. The whole in one piece is
// what they are compared with, and not among them.
std::vector<Pieces> Cuts(std::string_view bytes);

// "1|3|25": the sizes of the pieces, for messages.
std::string Sizes(const Pieces& pieces);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_FUZZ_CUTS_H_
