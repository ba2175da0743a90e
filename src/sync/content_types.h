// What kind of content files hold, as MIME types: found out from the first 4 KiB, when first asked
// for or while nothing else happens, and kept by content, so that a renamed file is not read again.
//
// Invariant: the control thread reads no file: what is not known is determined in one job at a
// time. Driven by roles on the control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/executor.h"
#include "sync/file_system.h"

namespace lansync {

// Implemented by platform (libmagic). Called on worker threads, by one at a time.
class TypeTeller {
 public:
  static constexpr std::size_t kHeadBytes = 4096;
  virtual ~TypeTeller() = default;
  virtual std::string tell(ByteView head) = 0;
};

// Of content that is not here, and of what nobody can tell.
inline constexpr const char* kUnknownType = "application/octet-stream";

class ContentTypes {
 public:
  using Key = std::uint64_t;  // the first 8 bytes of the content id
  // More different ones than this come from files that were made for it.
  static constexpr std::size_t kMaxTypes = 4096;

  // Without a `teller` (the simulator) every type is known, as kUnknownType.
  ContentTypes(FileSystem& files, Executor& executor, TypeTeller* teller)
      : files_(files), executor_(executor), teller_(teller) {}

  void load(const std::map<Key, std::string>& kept);
  // nullopt: it has to be determined.
  std::optional<std::string> known(const Entry& entry) const;

  struct Wanted {
    std::string path;
    EntryPtr entry;
    FileStat stat;
  };
  // `done` when it is known what could be found out; the rest is kUnknownType until it changes.
  void determine(std::vector<Wanted> wanted, std::function<void()> done);
  bool busy() const { return jobs_ > 0; }

  std::size_t found() const { return found_.size(); }
  // What was found since the last call, to be kept.
  std::map<Key, std::string> take_found() { return std::exchange(found_, {}); }

 private:
  static Key key_of(const ContentId& content);
  void keep(Key key, const std::string& type);

  FileSystem& files_;
  Executor& executor_;
  TypeTeller* teller_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<std::string> names_;
  std::map<std::string, std::uint16_t, std::less<>> numbers_;
  std::unordered_map<Key, std::uint16_t> of_content_;  // never iterated
  std::map<Key, std::string> found_;
  int jobs_ = 0;
};

}  // namespace lansync
