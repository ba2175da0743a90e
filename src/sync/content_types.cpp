#include "sync/content_types.h"

#include <utility>

namespace lansync {
namespace {

// Nothing but a MIME type: it goes to others and to terminals.
bool is_plain(const std::string& type) {
  if (type.empty() || type.size() > 100) return false;
  for (char c : type) {
    if (c <= ' ' || c > '~') return false;
  }
  return type.find('/') != std::string::npos;
}

std::string type_of_file(FileSystem& files, TypeTeller& teller, const ContentTypes::Wanted& wanted,
                         std::vector<std::uint8_t>& head) {
  auto file = files.open_file(wanted.path);
  if (!file) return {};
  auto stat = (*file)->stat();
  // Another file by now: its type is another content's.
  if (!stat || !stat->same_file_bytes(wanted.stat)) return {};
  head.resize(TypeTeller::kHeadBytes);
  auto size = (*file)->read(0, head);
  if (!size) return {};
  std::string type = teller.tell(ByteView(head).first(*size));
  return is_plain(type) ? type : std::string(kUnknownType);
}

}  // namespace

ContentTypes::Key ContentTypes::key_of(const ContentId& content) {
  Key key = 0;
  for (std::size_t i = 0; i < 8; ++i) key = key << 8 | content.bytes[i];
  return key;
}

void ContentTypes::load(const std::map<Key, std::string>& kept) {
  for (const auto& [key, type] : kept) {
    if (is_plain(type)) keep(key, type);
  }
}

std::optional<std::string> ContentTypes::known(const Entry& entry) const {
  if (entry.is_directory()) return "inode/directory";
  if (entry.is_symlink()) return "inode/symlink";
  if (!entry.is_file()) return kUnknownType;
  if (entry.size == 0) return "inode/x-empty";
  if (teller_ == nullptr) return kUnknownType;
  auto at = of_content_.find(key_of(entry.content));
  if (at == of_content_.end()) return std::nullopt;
  return names_[at->second];
}

void ContentTypes::keep(Key key, const std::string& type) {
  auto at = numbers_.find(type);
  if (at == numbers_.end()) {
    const std::string& name = names_.size() < kMaxTypes ? type : std::string(kUnknownType);
    at = numbers_.try_emplace(name, static_cast<std::uint16_t>(names_.size())).first;
    if (at->second == names_.size()) names_.push_back(name);
  }
  of_content_[key] = at->second;
}

void ContentTypes::determine(std::vector<Wanted> wanted, std::function<void()> done) {
  if (teller_ == nullptr || wanted.empty()) {
    done();
    return;
  }
  ++jobs_;
  auto list = std::make_shared<std::vector<Wanted>>(std::move(wanted));
  auto types = std::make_shared<std::vector<std::string>>();
  executor_.submit(
      JobClass::kBulk,
      [&files = files_, &teller = *teller_, list, types] {
        std::vector<std::uint8_t> head;
        for (const Wanted& one : *list) types->push_back(type_of_file(files, teller, one, head));
      },
      [this, alive = std::weak_ptr<bool>(alive_), list, types, done = std::move(done)] {
        if (alive.expired()) return;
        --jobs_;
        for (std::size_t i = 0; i < list->size(); ++i) {
          const std::string& type = (*types)[i];
          Key key = key_of((*list)[i].entry->content);
          // What could not be read is not asked for again in this run, and not kept either.
          keep(key, type.empty() ? std::string(kUnknownType) : type);
          if (!type.empty()) found_[key] = type;
        }
        done();
      });
}

}  // namespace lansync
