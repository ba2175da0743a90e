// main() for a fuzz target where there is no libFuzzer: every file of the corpus as it is, cut at
// every byte, with every byte changed, and with flipped bits that add up, drawn from a fixed seed.
// Fails if the corpus is empty.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

// A copy of exactly this size on the heap, so that a sanitizer sees a read past its end.
void feed(const Input& input, std::size_t size) {
  Input exact(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
  exact.shrink_to_fit();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void feed_all_forms(Input input) {
  for (std::size_t size = 0; size <= input.size(); ++size) feed(input, size);
  for (std::uint8_t& byte : input) {
    for (std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xFF}}) {
      byte = static_cast<std::uint8_t>(byte ^ mask);
      feed(input, input.size());
      byte = static_cast<std::uint8_t>(byte ^ mask);
    }
  }
  std::uint64_t state = 0x9E3779B97F4A7C15;
  for (std::size_t i = 0; i < input.size() * 16; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    std::size_t bit = (state >> 16) % (input.size() * 8);
    auto mask = static_cast<std::uint8_t>(1u << (bit % 8));
    input[bit / 8] = static_cast<std::uint8_t>(input[bit / 8] ^ mask);
    feed(input, input.size());
    // Every other flip stays, so that inputs drift away from the valid one; a fresh start each 64.
    if (i % 2 == 0 || i % 64 == 63)
      input[bit / 8] = static_cast<std::uint8_t>(input[bit / 8] ^ mask);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
    return 2;
  }
  std::error_code error;
  std::set<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(argv[1], error))
    files.insert(file.path());
  for (const auto& path : files) {
    std::ifstream in(path, std::ios::binary);
    feed_all_forms(Input(std::istreambuf_iterator<char>(in), {}));
  }
  std::printf("%zu files\n", files.size());
  return files.empty() ? 1 : 0;
}
