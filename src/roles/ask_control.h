// What a person may ask of other nodes through this one: the commands index, hash, search, upload,
// uploads and history. The part of NodeControl that takes its time and answers in pieces.
//
// Invariant: plain values only. Rows come by `Rows`, some at a time, and no more are asked for
// before `taken` is called; the callback at the end is called once, after all rows, unless
// cancelled.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace lansync {

struct FileReport {
  std::string name;
  std::uint64_t size = 0;
  WallTime mtime;
  std::string type;  // MIME
};
struct IndexAsk {
  std::string peer;  // "": the hub; on the hub the only other node
  bool directories = false;
  std::optional<WallTime> from;
  std::optional<WallTime> to;
  std::string pattern;  // "": all
};

struct HashReport {
  std::string name;
  std::uint64_t size = 0;
  WallTime mtime;
  std::string md5;           // "" if it could not be read
  std::optional<bool> same;  // as ours; none: we have no such file, or could not read one of them
  std::string state;         // good, changed, rotten, repaired, unreadable, gone
  std::string note;          // for people, one line; may be ""
};
struct HashAsk {
  std::string peer;
  std::string name;  // "": every file
  bool repair = false;
};

struct RecordReport {
  FileReport file;
  std::string address;
  std::uint16_t port = 0;
  std::string node;
};
struct SearchAsk {
  std::string name;
  bool regex = false;
  bool quiet = false;  // a question of the program itself: not in this node's history
};

struct HistoryReport {
  WallTime time;
  bool incoming = false;  // made to this node
  std::string peer;
  std::string command;
  std::string arguments;
  std::string result;
};

struct UploadAsk {
  std::string file;  // an absolute path of the caller's, read with this node's rights
  std::string to;
};
struct UploadReport {
  std::string name;  // there
  std::uint64_t size = 0;
  WallTime mtime;
  std::string md5;
  std::string peer;
  std::string carrier;
  Duration took{};
};
struct OfferReport {
  std::uint64_t id = 0;
  std::string name;
  std::uint64_t size = 0;
  std::string from;
  WallTime expires;
};

// How a question with rows ended.
struct AskEnd {
  std::string peer;  // who answered
  std::uint64_t rows = 0;
};

class AskControl {
 public:
  // Names something under way; never 0 while it can still be cancelled.
  using Token = std::uint64_t;
  template <typename T>
  using Callback = std::function<void(Result<T>)>;
  using Taken = std::function<void()>;
  template <typename T>
  using Rows = std::function<void(const std::vector<T>& rows, Taken taken)>;

  virtual ~AskControl() = default;

  virtual Token index(const IndexAsk& what, Rows<FileReport> rows, Callback<AskEnd> done) = 0;
  virtual Token hash(const HashAsk& what, Rows<HashReport> rows, Callback<AskEnd> done) = 0;
  // kNotFound: nobody has it.
  virtual Token search(const SearchAsk& what, Rows<RecordReport> rows, Callback<AskEnd> done) = 0;
  virtual Token history(std::optional<WallTime> since,
                        Callback<std::vector<HistoryReport>> done) = 0;
  // Ends when the other side has it, or said no.
  virtual Token upload(const UploadAsk& what, Callback<UploadReport> done) = 0;
  virtual std::vector<OfferReport> uploads() = 0;
  virtual Result<OfferReport> answer_upload(std::uint64_t id, bool allow) = 0;
};

}  // namespace lansync
