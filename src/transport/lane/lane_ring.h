// A queue over one array of 2^n elements that doubles when it is full: no allocation an element.
// Invariant: what goes in first comes out first. Driven by LaneSender.
#pragma once

#include <cstddef>
#include <vector>

#include "base/assert.h"

namespace lansync {

template <typename T>
class LaneRing {
 public:
  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return tail_ - head_; }
  const T& front() const {
    LS_ASSERT(!empty());
    return slots_[head_ & (slots_.size() - 1)];
  }
  void pop() {
    LS_ASSERT(!empty());
    ++head_;
  }
  void push(const T& value) {
    if (size() == slots_.size()) grow();
    slots_[tail_ & (slots_.size() - 1)] = value;
    ++tail_;
  }
  void clear() { head_ = tail_; }

 private:
  void grow() {
    std::vector<T> wider(slots_.empty() ? 64 : slots_.size() * 2);
    std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) wider[i] = slots_[(head_ + i) & (slots_.size() - 1)];
    slots_ = std::move(wider);
    head_ = 0;
    tail_ = count;
  }
  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace lansync
