// A node's disk in a simulated world: MemoryFileSystem and, on top of it, a person who works in the
// folder, a watcher that reports what they and the node do, faults, and power that fails.
//
// Power: names reach the disk in the order in which they were changed, but only as far as the seed
// says; bytes that nothing made durable may be missing, cut short, old or zeros. What a person does
// is durable at once, but for the share of it that set_unsynced() gives: few programs call fsync.
// What nobody synced is on the disk after kWriteback all the same.
// Driven by SimNode (the person), by the node's jobs (FileSystem). Lives on when its node dies.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/clock.h"
#include "support/memory_file_system.h"
#include "sync/replica.h"

namespace lansync::sim {

// What a person sees at a path.
struct SeenFile {
  FileKind kind = FileKind::kFile;
  std::uint16_t mode = 0;
  std::int64_t mtime_ns = 0;
  Bytes bytes;         // files
  std::string target;  // symlinks
  bool operator==(const SeenFile&) const = default;
};
using SeenTree = std::map<std::string, SeenFile>;

class SimDisk final : public MemoryFileSystem {
 public:
  struct Events {
    std::function<void(const ChangeHint&)> on_hint;
    std::function<void(const std::string& path)> on_directory_moved;
    // A file got its real name by the node's hand.
    std::function<void(const std::string& path, const Bytes& bytes)> on_installed;
    // Something is new at a path, by the person or by the node's hand; and something left the
    // folder or the trash by the node's hand. `trash`: the name it has, or had, in the trash; "":
    // none.
    std::function<void(const std::string& path, bool by_person)> on_changed;
    std::function<void(const std::string& path, const SeenFile& what, const std::string& trash)>
        on_displaced;
    std::function<void(const std::string& trash, const SeenFile& what)> on_purged;
    std::function<void(const std::string& trash)> on_left_trash;  // back into the folder
    // It came back from the trash, because a person asked for it.
    std::function<void(const std::string& path, const Bytes& bytes)> on_restored;
    // Before any operation of the node: a test's chance to be the person who is faster, or the
    // crash.
    std::function<void(const std::string& operation, const std::string& subject)> on_operation;
  };

  SimDisk(const SimClock& clock, std::uint64_t seed);
  void set_events(Events events) { events_ = std::move(events); }

  // ---- a person (false: it cannot be done as things are)
  // -----------------------------------------
  // So many of a million acts of theirs are not durable when they are done.
  void set_unsynced(std::uint32_t rate) { unsynced_rate_ = rate; }
  bool write(const std::string& path, const Bytes& bytes);
  // And the file stays open: more will come, and close_file() at the end.
  bool write_open(const std::string& path, const Bytes& bytes);
  void close_file(const std::string& path) { told(path, FileEvent::kCloseWrite); }
  std::optional<std::uint64_t> inode(const std::string& path) const;
  // As most editors save: a new file renamed over the old one, so that the inode changes.
  bool save(const std::string& path, const Bytes& bytes);
  bool append(const std::string& path, const Bytes& bytes);
  void rewrite(const std::string& path, const Bytes& bytes);  // keeps the mtime; it must be there
  bool rename(const std::string& from, const std::string& to);
  bool erase(const std::string& path);  // with everything below
  // Out of the folder with everything below it: one event, as the kernel has it.
  void take_away(const std::string& path);
  bool make_folder(const std::string& path);
  bool chmod(const std::string& path, std::uint16_t mode);
  bool link(const std::string& path, const std::string& target);
  bool touch(const std::string& path, std::int64_t mtime_ns);
  // Other bytes of the same size under the old mtime: `touch -r` afterwards.
  bool rewrite_quietly(const std::string& path, const Bytes& bytes);
  bool make_pipe(const std::string& path);
  // Of another user from now on, or ours again: its bytes (a directory's names and all below) are
  // refused, what lstat of the thing itself tells is not.
  bool set_readable(const std::string& path, bool readable);
  bool readable(const std::string& path) const;

  SeenTree tree() const;
  std::optional<SeenFile> seen(const std::string& path) const;
  // Somewhere in the folder: these bytes, or a link to the same.
  bool shows(const SeenFile& what) const;
  std::map<std::string, Bytes> trash_files() const;
  std::vector<std::string> files_below(const std::string& path) const;

  // ---- faults
  // ------------------------------------------------------------------------------------ Operations
  // of the node fail at this rate (per million) with kIo, writes also with kNoSpace.
  void set_error_rates(std::uint32_t io, std::uint32_t no_space);
  // No more than these bytes are free from now on, until set_capacity.
  void fill_up(std::uint64_t free);
  // Asked before each operation of the node, which fails with what it gives.
  void set_failing(std::function<std::optional<Error>(const std::string& operation)> failing) {
    failing_ = std::move(failing);
  }
  // After this many more operations of the node everything it does fails and has no effect, as for
  // a process that is no more.
  void die_after(std::uint64_t operations) { die_in_ = operations; }
  bool died() const { return dead_; }
  // Operations of the node that change something, or make it durable.
  std::uint64_t changes() const { return changes_; }
  // The process is gone, the kernel is not.
  void revive();
  // The power is gone: see above. What it did to what people had not synced:
  struct PowerLoss {
    std::vector<Bytes> lost;  // stands under no name any more
    std::vector<Bytes> torn;  // stands there instead, and nobody wrote it
    bool hidden = false;      // some of it under a stat that does not tell
  };
  PowerLoss power_cut();
  struct Image {
    Names files, temp, trash;
  };
  // Copies that share nothing with the disk: a backup.
  Image backup() const;
  void restore(const Image& image);
  bool rot(const std::string& path);
  void lose_private();  // .lansync is deleted: tmp and trash go

  // ---- FileSystem: what changes names is noted
  // ---------------------------------------------------
  Result<FileStat> install_temp(const std::string& name, const std::string& path,
                                const std::optional<FileStat>& expected,
                                const std::string& trash_name) override;
  Status move_to_trash(const std::string& path, const FileStat& expected,
                       const std::string& trash_name) override;
  Status make_directory(const std::string& path, std::uint16_t mode) override;
  Status remove_directory(const std::string& path) override;
  Result<FileStat> make_symlink(const std::string& target, const std::string& path,
                                const std::optional<FileStat>& expected,
                                const std::string& trash_name) override;
  Result<FileStat> set_metadata(const std::string& path, std::uint16_t mode,
                                std::optional<std::int64_t> mtime_ns,
                                const FileStat& expected) override;
  Status restore_from_trash(const std::string& trash_name, const std::string& path) override;
  Result<FileStat> install_trash(const std::string& trash_name, const std::string& path,
                                 const FileStat& expected) override;
  Status remove_trash(const std::string& trash_name) override;
  Status sync_all() override;

 private:
  static SeenFile seen_of(const Node& node);
  void changed(const std::string& path, bool by_person);
  // The node took `before` away from `path`.
  void displaced(const std::string& path, const std::optional<SeenFile>& before,
                 const std::string& trash_name);
  std::optional<Error> on_check(const std::string& operation, const std::string& subject);
  bool refused(const std::string& operation, const std::string& subject) const;
  bool make_parents(const std::string& path);
  void put(const std::string& path, const NodePtr& node, bool existed);
  void told(const std::string& path, FileEvent event);
  void note_names();
  // What the person did: durable, it is done to every state that a power cut may bring back.
  void person_changed(const std::string& path);
  void begin_act();
  void forget_written_back();
  struct Unsynced {
    NodePtr node;
    Instant since;
    bool persons = false;
    Bytes durable;  // what the disk has of it, as far as it was there before
    FileStat durable_stat;
    bool was_there = false;
  };
  void tear(Unsynced& one, PowerLoss& loss);
  void set_clock();

  static constexpr std::size_t kMaxStates = 64;
  // ext4 commits names each 5 s, and Linux writes pages back that are older than 30 s.
  static constexpr Duration kWriteback = 35s;

  const SimClock& clock_;
  Prng random_;
  Events events_;
  std::function<std::optional<Error>(const std::string&)> failing_;
  std::uint32_t io_errors_ = 0;
  std::uint32_t no_space_ = 0;
  std::uint64_t die_in_ = 0;
  std::uint64_t changes_ = 0;
  bool dead_ = false;
  // Names as they were: after the last sync_all, and after each change since.
  std::deque<std::pair<Instant, Image>> states_;
  std::set<std::string> unreadable_;
  // Their bytes, or their names, are in memory only. By inode: the order has to be the seed's.
  std::map<std::uint64_t, Unsynced> unsynced_;
  std::uint32_t unsynced_rate_ = 0;
  bool durable_act_ = true;  // of the person, just now
};

}  // namespace lansync::sim
