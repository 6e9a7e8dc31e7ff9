#include "net/http/date_cache.h"

#include <cstdio>

namespace quintet::http {

void DateCache::Refresh(TimePoint now) {
  constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto wall = clock_.Now();
  const auto second = std::chrono::floor<std::chrono::seconds>(wall);
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(second - day);

  // Unsigned and reduced, so that the compiler sees that the line always fits. Not strftime: names
  // must not follow the locale.
  const unsigned year = static_cast<unsigned>(static_cast<int>(date.year())) % 10000U;
  std::snprintf(line_.data(), line_.size(), "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
                kDays[std::chrono::weekday(day).c_encoding() % 7U],
                static_cast<unsigned>(date.day()) % 100U,
                kMonths[(static_cast<unsigned>(date.month()) - 1U) % 12U], year,
                static_cast<unsigned>(time.hours().count()) % 100U,
                static_cast<unsigned>(time.minutes().count()) % 100U,
                static_cast<unsigned>(time.seconds().count()) % 100U);

  refreshed_ = now;
  expires_ = AddSaturated(
      now, std::chrono::duration_cast<Duration>(second + std::chrono::seconds(1) - wall));
}

}  // namespace quintet::http
