#include "sync/name_pattern.h"

#include <re2/re2.h>

#include <utility>

#include "base/log.h"

namespace lansync {
namespace {

RE2::Options options() {
  RE2::Options options;
  options.set_log_errors(false);
  // Of the program and both automata's caches: 8 of them may be in use at once, 256 wait.
  options.set_max_mem(1 << 20);
  options.set_never_nl(false);
  return options;
}

}  // namespace

struct NamePattern::Compiled {
  explicit Compiled(std::string_view pattern)
      : re(re2::StringPiece(pattern.data(), pattern.size()), options()) {}
  RE2 re;
};

NamePattern::NamePattern(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
NamePattern::NamePattern(NamePattern&&) noexcept = default;
NamePattern& NamePattern::operator=(NamePattern&&) noexcept = default;
NamePattern::~NamePattern() = default;

Result<NamePattern> NamePattern::compile(std::string_view pattern) {
  if (pattern.empty()) return Error{ErrorCode::kRefused, "the pattern is empty"};
  if (pattern.size() > kMaxBytes) {
    return Error{ErrorCode::kRefused,
                 str("the pattern is longer than ", kMaxBytes, " bytes: shorten it")};
  }
  auto compiled = std::make_unique<Compiled>(pattern);
  if (!compiled->re.ok()) {
    return Error{ErrorCode::kRefused,
                 str("the pattern '", printable(pattern, 100),
                     "' is not a regular expression: ", printable(compiled->re.error(), 200))};
  }
  if (compiled->re.ProgramSize() > kMaxProgram) {
    return Error{ErrorCode::kRefused,
                 str("the pattern '", printable(pattern, 100),
                     "' takes too much work for each name: use fewer or smaller repetitions")};
  }
  return NamePattern(std::move(compiled));
}

bool NamePattern::matches(std::string_view name) const {
  return RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), compiled_->re);
}

std::uint64_t NamePattern::cost(std::string_view name) const {
  return static_cast<std::uint64_t>(compiled_->re.ProgramSize()) * (name.size() + 1);
}

}  // namespace lansync
