#include "transport/send_window.h"

#include "support/catch.h"

using namespace lansync;

namespace {

Instant at(Duration since_start) { return Instant{} + 1h + since_start; }

}  // namespace

TEST_CASE("a window doubles each round trip until something is lost, as far as ENet's") {
  SendWindow window;
  CHECK(window.bytes() == SendWindow::kFirst);
  window.on_acknowledged(SendWindow::kFirst, true);
  CHECK(window.bytes() == 2 * SendWindow::kFirst);
  for (int i = 0; i < 20; ++i) window.on_acknowledged(window.bytes(), true);
  CHECK(window.bytes() == SendWindow::kMost);
}

TEST_CASE("a window that nobody fills does not grow") {
  SendWindow window;
  for (int i = 0; i < 20; ++i) window.on_acknowledged(1000, false);
  CHECK(window.bytes() == SendWindow::kFirst);
}

TEST_CASE("an eighth lost halves a window once a round trip, and it grows by eighths afterwards") {
  SendWindow window;
  window.on_losses(10, 50, 100ms, at(0ms));
  CHECK(window.bytes() == SendWindow::kFirst / 2);
  window.on_losses(40, 50, 100ms, at(50ms));
  CHECK(window.bytes() == SendWindow::kFirst / 2);
  window.on_acknowledged(8000, true);
  CHECK(window.bytes() == SendWindow::kFirst / 2 + 1000);
  window.on_losses(60, 50, 100ms, at(150ms));
  CHECK(window.bytes() == (SendWindow::kFirst / 2 + 1000) / 2);
}

TEST_CASE("a window never falls below what keeps a session alive") {
  SendWindow window;
  for (int i = 1; i < 30; ++i)
    window.on_losses(static_cast<std::uint32_t>(20 * i), 20, 100ms, at(i * 200ms));
  CHECK(window.bytes() == SendWindow::kLeast);
}

TEST_CASE("a few losses among many are the radio's, and change nothing") {
  SendWindow window;
  for (int i = 1; i < 30; ++i)
    window.on_losses(static_cast<std::uint32_t>(15 * i), 300, 100ms, at(i * 200ms));
  CHECK(window.bytes() == SendWindow::kFirst);
}

TEST_CASE("losses count from 0 again when ENet begins its count anew") {
  SendWindow window;
  window.on_losses(1000, 10'000, 100ms, at(0ms));
  const std::size_t before = window.bytes();
  window.on_losses(2, 50, 100ms, at(200ms));
  CHECK(window.bytes() == before);
  window.on_losses(12, 50, 100ms, at(210ms));
  CHECK(window.bytes() == before / 2);
}
