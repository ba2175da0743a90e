// Errors of the environment: a disk that is full, a name that does not resolve. What a peer does
// wrong is counted and the peer dropped; what we do wrong is an LS_ASSERT. Neither is a Result.
//
// Same member names as std::expected, which libstdc++ 12 does not offer to clang 14.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace lansync {

// One member for each different reaction of a caller, no more.
enum class ErrorCode {
  kNotFound,     // the thing is not there
  kExists,       // something is there already
  kDenied,       // permission
  kNoSpace,      // disk, quota or a full table
  kChanged,      // the file is not what it was: look again
  kRefused,      // a name, path or value that is never accepted
  kCorrupt,      // stored bytes are not what was stored
  kBusy,         // in use, try later
  kUnsupported,  // this kernel or file system cannot
  kIo,           // everything else the system reports
};

struct Error {
  ErrorCode code = ErrorCode::kIo;
  std::string detail;  // one line for a person: what happened, to which file or address
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() { return std::get<1>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace lansync

// Returns the error of `expr` (a Result) from this function, else goes on.
#define LS_TRY(expr)                                             \
  do {                                                           \
    if (auto ls_try_result = (expr); !ls_try_result)             \
      return ::lansync::Error(std::move(ls_try_result.error())); \
  } while (false)
