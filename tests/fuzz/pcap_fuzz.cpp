// A capture file from anybody, through libpcap and the decoder, with the secrets of the session
// that the corpus was recorded from. Every line that comes out must be printable and every JSON
// line one object; what the decoder holds stays bounded.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "fuzz/fuzz_check.h"
#include "sniff/capture.h"
#include "sniff/decoder.h"
#include "sniff/render.h"

namespace {

using namespace lansync;

constexpr std::string_view kKeylog =
    "LANSYNC2 "
    "0f0de4db595820beb885121d8d7cd113 "
    "2 "
    "3a11a0411fda5a0f1fa098ca28c3733e4f0eb498079d3a0bb1ce070513b0b0a5 "
    "85415b36ab9f099d5420c5135bdb4f65a009e008dc7faabe3e2b3036668a3c61 "
    "1bd4e2b458ae9990b9f3d8963a1a61354fe863e443ce6a7727811e002fb9d26f "
    "7f6e0f82a1bd3301a757cf78dedbcb52a6a7de934b6f8577be828b3bebbda097 "
    "83713790e075f44fb4aaa882eaddfeb4e655e51c8e9d1567dfc02a0a0c3eb0c1";

void check(const sniff::Item& item) {
  const std::string json = sniff::render_json(item);
  FUZZ_CHECK(json.size() > 2 && json.find('\n') == json.size() - 1);
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  FUZZ_CHECK(parsed.is_object() && parsed.contains("time") && parsed.contains("type"));
  const std::string line = sniff::render_line({item});
  const std::string_view text = std::string_view(line).substr(0, line.size() - 1);
  FUZZ_CHECK(printable(text, text.size()) == text);
  sniff::render_verbose({item});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::FILE* file = fmemopen(const_cast<std::uint8_t*>(data), size, "rb");
  FUZZ_CHECK(file != nullptr);
  auto capture = sniff::Capture::open_stream(file, "input");
  if (!capture) return 0;
  sniff::Keylog keylog;
  keylog.add(kKeylog);
  FUZZ_CHECK(keylog.size() == 1 && keylog.bad_lines() == 0);
  sniff::Decoder decoder(keylog);
  sniff::Frame frame;
  for (;;) {
    auto got = (*capture)->read(frame);
    if (!got || *got != sniff::Capture::Got::kFrame) break;
    for (const sniff::Item& item : decoder.on_frame(frame)) check(item);
    FUZZ_CHECK(decoder.held_bytes() <=
               sniff::Connections::kMaxHeldBytes + sniff::Carriers::kMaxHeldBytes);
  }
  for (const sniff::Item& item : decoder.finish()) check(item);
  FUZZ_CHECK(decoder.held_bytes() == 0);
  return 0;
}
