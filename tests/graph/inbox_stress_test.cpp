// inbox_stress_test: mailboxes and gates among many threads; made to be run under ThreadSanitizer too.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "graph/inbox.h"

namespace tests {
namespace {

using graph::Credit;
using graph::Gate;
using graph::Inbox;
using graph::InputPort;
using graph::Intake;
using graph::Message;
using graph::WhenFull;
using Found = Inbox::Found;

Message made(std::uint64_t number, Message::Kind kind, Credit credit = nullptr) {
  Message message;
  message.credit = std::move(credit);
  if (kind == Message::Kind::data) message.body = graph::Any::of(number);
  message.number = number;
  message.kind = kind;
  return message;
}

InputPort joined() { return {.name = "x", .intake = Intake::joined}; }

int free_slots(Gate& gate) {
  std::vector<Credit> taken;
  while (auto credit = gate.try_acquire()) taken.push_back(std::move(credit));
  return static_cast<int>(taken.size());
}

TEST(InboxStress, TwoSourcesMeetInPairsAndEverySlotComesBack) {
  constexpr std::uint64_t total = 5'000;
  for (const int slots : {1, 2, 4, 64}) {
    Gate gates[] = {Gate(slots), Gate(slots)};
    Inbox inbox({joined(), joined()}, {{.port = 0}, {.port = 1}});
    std::vector<std::thread> sources;
    for (std::size_t side = 0; side < 2; ++side)
      sources.emplace_back([&, side] {
        for (std::uint64_t n = 0; n < total; ++n)
          inbox.put(side, made(n, n % 7 == side ? Message::Kind::tombstone : Message::Kind::data,
                               gates[side].acquire()));
        inbox.put(side, made(0, Message::Kind::end));
      });
    std::uint64_t next = 0, pairs = 0;
    for (Found found = Found::nothing; found != Found::end;) {
      Inbox::Firing firing;
      found = inbox.take(firing);
      if (found == Found::nothing) std::this_thread::yield();
      if (found != Found::messages && found != Found::tombstone) continue;
      EXPECT_EQ(firing.number, next++);
      EXPECT_EQ(found == Found::tombstone, firing.number % 7 < 2);
      if (found != Found::messages) continue;
      ++pairs;
      EXPECT_EQ(firing.inputs[0].one.as<std::uint64_t>(), firing.inputs[1].one.as<std::uint64_t>());
    }
    for (auto& source : sources) source.join();
    EXPECT_EQ(next, total);
    EXPECT_EQ(pairs, total - (total + 6) / 7 - (total + 5) / 7);
    for (auto& gate : gates) {
      EXPECT_LE(gate.peak(), slots);
      EXPECT_EQ(free_slots(gate), slots);
    }
  }
}

TEST(InboxStress, DropsAreCountedExactlyAndTheNewestArrives) {
  constexpr std::uint64_t total = 20'000;
  Inbox inbox({joined()}, {{.port = 0, .when_full = WhenFull::drop_oldest, .capacity = 5}});
  std::thread source([&] {
    for (std::uint64_t n = 0; n < total; ++n) inbox.put(0, made(n, Message::Kind::data));
    inbox.put(0, made(0, Message::Kind::end));
  });
  std::thread onlooker([&] {
    while (inbox.counts(0).arrived < total) std::this_thread::yield();
  });
  std::uint64_t taken = 0, newest = 0;
  for (Found found = Found::nothing; found != Found::end;) {
    Inbox::Firing firing;
    found = inbox.take(firing);
    if (found != Found::messages) continue;
    EXPECT_TRUE(taken == 0 || firing.number > newest);
    newest = firing.number;
    ++taken;
  }
  source.join();
  onlooker.join();
  EXPECT_EQ(newest, total - 1);
  EXPECT_EQ(inbox.counts(0).arrived, taken + inbox.counts(0).dropped);
}

TEST(InboxStress, ClosingAtAnyMomentGivesEveryCreditBack) {
  for (int round = 0; round < 50; ++round) {
    Gate gate(4);
    Inbox inbox({joined()}, {{.port = 0}});
    std::thread source([&] {
      for (std::uint64_t n = 0;; ++n) {
        auto credit = gate.acquire();
        if (!credit) return;
        inbox.put(0, made(n, Message::Kind::data, std::move(credit)));
      }
    });
    for (int i = 0; i < round * 10; ++i) {
      Inbox::Firing firing;
      inbox.take(firing);
    }
    inbox.close();
    gate.close();
    source.join();
    EXPECT_EQ(free_slots(gate), 4);
  }
}

// A source must not make its next message while the last body is still there.
TEST(InboxStress, ACreditOutlivesTheBodyItStandsFor) {
  Gate gate(1);
  bool gone = false, early = false;
  gate.on_release = [&] { early = !gone; };
  {
    Message message;
    const auto remember = [&](const int* p) {
      gone = true;
      delete p;
    };
    message.body = graph::Any(std::shared_ptr<const int>(new int(0), remember), graph::type_of<int>());
    message.credit = gate.try_acquire();
  }
  EXPECT_TRUE(gone);
  EXPECT_FALSE(early);
}

}  // namespace
}  // namespace tests
