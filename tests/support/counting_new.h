// Counts allocations. Link support/counting_new.cc into the executable: it replaces operator new.
#ifndef QUINTET_TESTS_SUPPORT_COUNTING_NEW_H_
#define QUINTET_TESTS_SUPPORT_COUNTING_NEW_H_

#include <cstddef>

namespace quintet::testing {

// Calls of operator new so far, by all threads.
size_t Allocations();

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_COUNTING_NEW_H_
