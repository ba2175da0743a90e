// `.lansyncignore`: gitignore's language (gitignore(5)), byte for byte as git's wildmatch reads it.
//
// Invariant: matching takes time proportional to pattern length times name length at most, whatever
// the pattern: the file comes from other members. (Patterns are matched part by part with the
// classic one-star-of-memory loop; a compiled RE2 for each of up to 4096 patterns would take up to
// 100 MB for the same bound.)
// Driven by the scanner and by whoever judges a peer's entry. Immutable after parse().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lansync {

class IgnoreRules {
 public:
  static constexpr std::size_t kMaxFileBytes = 64 * 1024;
  static constexpr std::size_t kMaxPatterns = 4096;
  static constexpr std::string_view kFileName = ".lansyncignore";

  // Only the built-in rules: temporary files of editors and desktops, which nobody wants to see
  // travel (reliability.md §2): .*.sw[a-p] (vim), 4913 (vim's probe), ~$* (Office), .#* (Emacs
  // locks), .~lock.*# (LibreOffice), .goutputstream-* (GLib). Not `*~`: to some that is a backup
  // worth keeping. They are weaker than the file's: "!4913" brings one back.
  IgnoreRules();
  // The built-in rules and those of the file's text. What exceeds the bounds is left out and said
  // in problems().
  static IgnoreRules parse(std::string_view text);

  // True if `path`, or a directory above it, is excluded. Never for .lansyncignore at the root,
  // always for .lansync there; a conflict copy is excluded where what it is a copy of is.
  bool ignored(std::string_view path, bool is_directory) const;
  // The same without looking at the directories above, for a walk that does not enter excluded
  // ones.
  bool ignored_here(std::string_view path, bool is_directory) const;

  const std::vector<std::string>& problems() const { return problems_; }  // one line each
  std::size_t size() const { return rules_.size(); }

 private:
  struct Rule {
    std::vector<std::string> parts;  // split at '/'; "**" as a whole part matches any number
    bool negated = false;
    bool directory_only = false;
    bool anchored = false;  // has a '/' at its start or middle: matched against the whole path
  };
  void add_lines(std::string_view text);
  void add_line(std::string_view line);
  static bool matches(const Rule& rule, const std::vector<std::string_view>& parts);

  std::vector<Rule> rules_;
  std::vector<std::string> problems_;
};

}  // namespace lansync
