#include "sniff/reliable_stream.h"

#include <string>

#include "base/log.h"
#include "support/catch.h"

using namespace lansync;
using sniff::ReliableStream;
using Taken = ReliableStream::Taken;

namespace {

// Commands keep views; their bytes have to live as long.
struct Sent {
  Bytes fields;
  Bytes data;
  enet_wire::Command command;
};

Sent reliable(std::uint16_t sequence, std::string_view text) {
  Sent sent;
  sent.data.assign(text.begin(), text.end());
  sent.command.type = enet_wire::kSendReliable;
  sent.command.sequence = sequence;
  sent.command.data = sent.data;
  return sent;
}

Sent fragment(std::uint16_t start, std::uint32_t number, std::uint32_t count, std::uint32_t offset,
              std::uint32_t total, std::string_view text) {
  ByteWriter out;
  out.u16(start);
  out.u16(static_cast<std::uint16_t>(text.size()));
  out.u32(count);
  out.u32(number);
  out.u32(total);
  out.u32(offset);
  Sent sent = reliable(static_cast<std::uint16_t>(start + number), text);
  sent.fields = out.take();
  sent.command.type = enet_wire::kSendFragment;
  sent.command.fields = sent.fields;
  return sent;
}

Taken take(ReliableStream& stream, const Sent& sent) {
  enet_wire::Command command = sent.command;
  command.fields = sent.fields;
  command.data = sent.data;
  return stream.take(command);
}

std::string all(ReliableStream& stream) {
  std::string text;
  while (auto record = stream.next()) {
    if (record->lost != 0) text += str('(', record->lost, " lost)");
    text += record->broken ? "broken" : std::string(as_text(record->bytes));
    text += ' ';
  }
  return text;
}

}  // namespace

TEST_CASE("what came out of order comes out in order") {
  ReliableStream stream;
  CHECK(take(stream, reliable(2, "b")) == Taken::kNew);
  CHECK(all(stream).empty());
  CHECK(take(stream, reliable(1, "a")) == Taken::kNew);
  CHECK(all(stream) == "a b ");
  CHECK(stream.held_bytes() == 0);
}

TEST_CASE("what was sent again counts once, whether it is still held or long gone") {
  ReliableStream stream;
  take(stream, reliable(2, "b"));
  CHECK(take(stream, reliable(2, "b")) == Taken::kRepeated);
  take(stream, reliable(1, "a"));
  CHECK(all(stream) == "a b ");
  CHECK(take(stream, reliable(1, "a")) == Taken::kRepeated);
  CHECK(all(stream).empty());
}

TEST_CASE("fragments in any order make one record") {
  ReliableStream stream;
  take(stream, fragment(1, 2, 3, 4, 5, "e"));
  take(stream, reliable(4, "next"));
  take(stream, fragment(1, 0, 3, 0, 5, "ab"));
  CHECK(all(stream).empty());
  take(stream, fragment(1, 1, 3, 2, 5, "cd"));
  CHECK(all(stream) == "abcde next ");
}

TEST_CASE("fragments that contradict each other make no record, and the next one comes") {
  ReliableStream stream;
  take(stream, fragment(1, 0, 2, 0, 4, "ab"));
  take(stream, fragment(1, 1, 2, 3, 4, "d"));
  take(stream, reliable(3, "next"));
  CHECK(all(stream) == "broken next ");
}

TEST_CASE("a fragment that cannot be one is refused") {
  ReliableStream stream;
  CHECK(take(stream, fragment(1, 3, 3, 0, 5, "a")) == Taken::kRefused);
  CHECK(take(stream, fragment(1, 0, 2, 4, 5, "ab")) == Taken::kRefused);
  CHECK(take(stream, fragment(1, 0, 9, 0, 5, "ab")) == Taken::kRefused);
  CHECK(take(stream, fragment(1, 0, 2, 0, 0xFFFFFFFF, "ab")) == Taken::kRefused);
  CHECK(stream.held_bytes() == 0);
}

TEST_CASE("a packet that the capture missed is passed over once the receiver has it") {
  ReliableStream stream;
  take(stream, reliable(1, "a"));
  take(stream, reliable(3, "c"));
  CHECK(all(stream) == "a ");
  stream.acknowledged(3);
  CHECK(all(stream).empty());
  stream.acknowledged(2);
  CHECK(all(stream) == "(1 lost)c ");
}

TEST_CASE("of a message whose first part is missing nothing is shown") {
  ReliableStream stream;
  take(stream, fragment(1, 1, 3, 2, 6, "cd"));
  take(stream, fragment(1, 2, 3, 4, 6, "ef"));
  take(stream, reliable(4, "next"));
  stream.acknowledged(1);
  CHECK(all(stream) == "(3 lost)next ");
}

TEST_CASE("of a message whose middle is missing nothing is shown") {
  ReliableStream stream;
  take(stream, fragment(1, 0, 3, 0, 6, "ab"));
  take(stream, fragment(1, 2, 3, 4, 6, "ef"));
  take(stream, reliable(4, "next"));
  CHECK(all(stream).empty());
  stream.finish();
  CHECK(all(stream) == "(3 lost)next ");
  CHECK(stream.held_bytes() == 0);
}

TEST_CASE("sequence numbers go on after 65535") {
  ReliableStream stream;
  for (std::uint32_t i = 1; i <= 140000; ++i) {
    REQUIRE(take(stream, reliable(static_cast<std::uint16_t>(i), "x")) == Taken::kNew);
    REQUIRE(all(stream) == "x ");
  }
}

TEST_CASE("a gap that nobody acknowledges does not hold everything back for ever") {
  ReliableStream stream;
  for (std::uint32_t i = 2; i < ReliableStream::kMaxSpan + 100; ++i)
    take(stream, reliable(static_cast<std::uint16_t>(i), "x"));
  CHECK(all(stream).substr(0, 10) == "(1 lost)x ");
}
