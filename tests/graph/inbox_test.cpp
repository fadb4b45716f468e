// inbox_test: policies, joins, tombstones, gates and credits of the mailboxes alone.
#include "graph/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace tests {
namespace {

using graph::Gate;
using graph::Inbox;
using graph::InputPort;
using graph::Intake;
using graph::Message;
using graph::WhenFull;
using Found = graph::Inbox::Found;

Message message(std::uint64_t number, graph::Credit credit = {}) {
  Message sent;
  sent.body = graph::Any::of(static_cast<int>(number));
  sent.number = number;
  sent.credit = std::move(credit);
  return sent;
}

Message tombstone(std::uint64_t number, graph::Credit credit = {}) {
  Message sent;
  sent.kind = Message::Kind::tombstone;
  sent.number = number;
  sent.credit = std::move(credit);
  return sent;
}

Message end() {
  Message sent;
  sent.kind = Message::Kind::end;
  return sent;
}

InputPort port(Intake intake) { return {.name = "x", .intake = intake}; }

Inbox one(WhenFull policy, std::size_t capacity = 0) {
  return Inbox({port(Intake::joined)}, {{.port = 0, .when_full = policy, .capacity = capacity}});
}

// The numbers that take() gives until it finds nothing.
std::vector<std::uint64_t> drain(Inbox& inbox) {
  std::vector<std::uint64_t> numbers;
  for (;;) {
    Inbox::Firing firing;
    if (inbox.take(firing) != Found::messages) return numbers;
    EXPECT_EQ(*firing.inputs[0].one.get<int>(), static_cast<int>(firing.number));
    numbers.push_back(firing.number);
  }
}

using Numbers = std::vector<std::uint64_t>;

TEST(Inbox, AGatheredInputThatWaitsHoldsItsSourceUntilAllIsTaken) {
  Gate gate(2);
  Inbox inbox({port(Intake::joined), port(Intake::gathered)},
              {{.port = 0, .when_full = WhenFull::wait}, {.port = 1, .when_full = WhenFull::wait}});
  inbox.put(1, message(0, gate.try_acquire()));
  inbox.put(1, message(1, gate.try_acquire()));
  EXPECT_FALSE(gate.available());
  Inbox::Firing firing;
  EXPECT_EQ(inbox.take(firing), Found::nothing);
  inbox.put(0, message(7));
  EXPECT_EQ(inbox.take(firing), Found::messages);
  EXPECT_EQ(firing.number, 7u);
  EXPECT_EQ(firing.inputs[1].many.size(), 2u);
  EXPECT_TRUE(gate.available());
  EXPECT_EQ(inbox.counts(1).dropped, 0u);
}

TEST(Inbox, WaitKeepsEverythingInOrder) {
  auto inbox = one(WhenFull::wait);
  for (std::uint64_t n = 0; n < 100; ++n) inbox.put(0, message(n));
  EXPECT_EQ(inbox.counts(0).depth, 100u);
  EXPECT_EQ(drain(inbox).size(), 100u);
  EXPECT_EQ(inbox.counts(0).dropped, 0u);
  EXPECT_EQ(inbox.counts(0).peak, 100u);
}

TEST(Inbox, LatestKeepsTheNewestAndCountsTheRest) {
  auto inbox = one(WhenFull::latest);
  for (std::uint64_t n = 0; n < 5; ++n) inbox.put(0, message(n));
  EXPECT_EQ(drain(inbox), Numbers{4});
  EXPECT_EQ(inbox.counts(0).dropped, 4u);
  EXPECT_EQ(inbox.counts(0).peak, 1u);
}

TEST(Inbox, DropOldestMakesRoomAndDropNewestRefuses) {
  auto oldest = one(WhenFull::drop_oldest, 3), newest = one(WhenFull::drop_newest, 3);
  for (std::uint64_t n = 0; n < 7; ++n) {
    oldest.put(0, message(n));
    newest.put(0, message(n));
  }
  EXPECT_EQ(drain(oldest), (Numbers{4, 5, 6}));
  EXPECT_EQ(drain(newest), (Numbers{0, 1, 2}));
  EXPECT_EQ(oldest.counts(0).dropped, 4u);
  EXPECT_EQ(newest.counts(0).dropped, 4u);
}

TEST(Inbox, AnEndIsFoundAfterWhatCameBefore) {
  auto inbox = one(WhenFull::wait);
  Inbox::Firing firing;
  EXPECT_EQ(inbox.take(firing), Found::nothing);
  inbox.put(0, message(0));
  inbox.put(0, end());
  EXPECT_TRUE(inbox.ready());
  EXPECT_EQ(inbox.take(firing), Found::messages);
  EXPECT_EQ(inbox.take(firing), Found::end);
}

TEST(Inbox, AJoinWaitsForBothAndATombstoneSpeaksForBoth) {
  Inbox inbox({port(Intake::joined), port(Intake::joined)}, {{.port = 0}, {.port = 1}});
  Inbox::Firing firing;
  inbox.put(0, message(0));
  EXPECT_FALSE(inbox.ready());
  inbox.put(1, message(0));
  EXPECT_EQ(inbox.take(firing), Found::messages);
  inbox.put(0, message(1));
  inbox.put(1, tombstone(1));
  EXPECT_EQ(inbox.take(firing), Found::tombstone);
  EXPECT_EQ(firing.number, 1u);
}

TEST(Inbox, AJoinEndsWithItsFirstInputThatEnds) {
  Inbox inbox({port(Intake::joined), port(Intake::joined)}, {{.port = 0}, {.port = 1}});
  Inbox::Firing firing;
  inbox.put(0, message(0));
  inbox.put(1, end());
  EXPECT_EQ(inbox.take(firing), Found::end);
}

TEST(Inbox, FeedbackPairsByOrderAndATombstoneRepeatsTheLastToken) {
  Inbox inbox({port(Intake::joined), port(Intake::joined)}, {{.port = 0}, {.port = 1, .feedback = true}});
  Inbox::Firing firing;
  inbox.put(0, message(40));
  EXPECT_FALSE(inbox.ready());
  inbox.put(1, message(7));
  ASSERT_EQ(inbox.take(firing), Found::messages);
  EXPECT_EQ(firing.number, 40u);
  EXPECT_EQ(*firing.inputs[1].one.get<int>(), 7);
  firing = {};
  inbox.put(0, message(41));
  inbox.put(1, tombstone(3));
  ASSERT_EQ(inbox.take(firing), Found::messages);
  EXPECT_EQ(*firing.inputs[1].one.get<int>(), 7);
  inbox.put(0, message(42));
  EXPECT_EQ(inbox.take(firing), Found::nothing);
  inbox.put(1, end());
  EXPECT_EQ(inbox.take(firing), Found::end) << "no token will ever come";
}

TEST(Inbox, SampledShowsTheNewestAgainAndAgain) {
  Inbox inbox({port(Intake::joined), port(Intake::sampled)},
              {{.port = 0}, {.port = 1, .when_full = WhenFull::latest}});
  inbox.put(0, message(0));
  Inbox::Firing first;
  ASSERT_EQ(inbox.take(first), Found::messages);
  EXPECT_FALSE(first.inputs[1].one);
  inbox.put(1, message(8));
  inbox.put(1, message(9));
  for (std::uint64_t n = 1; n < 4; ++n) {
    inbox.put(0, message(n));
    Inbox::Firing firing;
    ASSERT_EQ(inbox.take(firing), Found::messages);
    EXPECT_EQ(*firing.inputs[1].one.get<int>(), 9);
  }
}

TEST(Inbox, GatheredGivesAllOnceAndNeverTriggers) {
  Inbox inbox({port(Intake::joined), port(Intake::gathered)},
              {{.port = 0}, {.port = 1, .when_full = WhenFull::drop_oldest, .capacity = 4}});
  for (std::uint64_t n = 0; n < 6; ++n) inbox.put(1, message(n));
  EXPECT_FALSE(inbox.ready());
  inbox.put(0, message(0));
  Inbox::Firing firing;
  ASSERT_EQ(inbox.take(firing), Found::messages);
  ASSERT_EQ(firing.inputs[1].many.size(), 4u);
  EXPECT_EQ(*firing.inputs[1].many[0].get<int>(), 2);
  EXPECT_EQ(inbox.counts(1).dropped, 2u);
  inbox.put(0, message(1));
  Inbox::Firing next;
  ASSERT_EQ(inbox.take(next), Found::messages);
  EXPECT_TRUE(next.inputs[1].many.empty());
}

TEST(Inbox, ClosingGivesBackWhatGatheredInputsHold) {
  Inbox inbox({port(Intake::joined), port(Intake::gathered)}, {{.port = 0}, {.port = 1}});
  inbox.put(0, message(0));
  inbox.put(1, message(3));
  inbox.put(1, message(5));
  const auto left = inbox.close();
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(*left[0].get<int>(), 3);
  EXPECT_EQ(*left[1].get<int>(), 5);
  EXPECT_TRUE(inbox.close().empty());
}

TEST(Inbox, WhatComesAfterTheCloseIsLateAndGivesItsCreditBack) {
  Gate gate(2);
  auto inbox = one(WhenFull::wait);
  inbox.put(0, message(0, gate.try_acquire()));
  inbox.close();
  inbox.put(0, message(1, gate.try_acquire()));
  EXPECT_EQ(inbox.counts(0).late, 2u);
  EXPECT_TRUE(gate.try_acquire());
  EXPECT_FALSE(inbox.ready());
}

TEST(Gate, ACreditIsOneSlotHoweverOftenItIsCopied) {
  Gate gate(2);
  auto first = gate.try_acquire();
  auto second = gate.try_acquire();
  EXPECT_FALSE(gate.try_acquire());
  auto copy = first;
  first.reset();
  EXPECT_FALSE(gate.try_acquire());
  copy.reset();
  EXPECT_TRUE(gate.try_acquire());
  EXPECT_EQ(gate.peak(), 2);
}

TEST(Gate, CombinedCreditsComeBackTogether) {
  Gate a(1), b(1);
  auto both = graph::combine(a.try_acquire(), b.try_acquire());
  EXPECT_FALSE(a.available());
  EXPECT_FALSE(b.available());
  both.reset();
  EXPECT_TRUE(a.available());
  EXPECT_TRUE(b.available());
  auto same = a.try_acquire();
  EXPECT_EQ(graph::combine(same, same), same);
}

TEST(Gate, CloseWakesWhoWaits) {
  Gate gate(1);
  const auto held = gate.try_acquire();
  graph::Credit got = held;
  std::thread waiter([&] { got = gate.acquire(); });
  gate.close();
  waiter.join();
  EXPECT_FALSE(got);
}

TEST(Gate, DroppingEdgesGiveCreditsBackOnEntryAndWaitingOnesWhenDone) {
  Gate gate(3);
  auto drops = one(WhenFull::latest), waits = one(WhenFull::wait);
  const auto credit = gate.try_acquire();
  drops.put(0, message(0, gate.try_acquire()));
  waits.put(0, message(0, gate.try_acquire()));
  EXPECT_TRUE(gate.available());
  {
    Inbox::Firing firing;
    ASSERT_EQ(waits.take(firing), Found::messages);
    EXPECT_TRUE(firing.credit);
  }
  Inbox::Firing firing;
  ASSERT_EQ(drops.take(firing), Found::messages);
  EXPECT_FALSE(firing.credit);
  EXPECT_TRUE(gate.try_acquire());
}

TEST(Gate, AStageBehindADroppingEdgeTakesNothingWithoutACredit) {
  Gate gate(1);
  auto inbox = one(WhenFull::latest);
  inbox.set_gate(&gate);
  inbox.put(0, message(0));
  Inbox::Firing firing;
  ASSERT_EQ(inbox.take(firing), Found::messages);
  inbox.put(0, message(1));
  EXPECT_FALSE(inbox.ready());
  Inbox::Firing next;
  EXPECT_EQ(inbox.take(next), Found::nothing);
  firing = {};
  EXPECT_TRUE(inbox.ready());
  EXPECT_EQ(inbox.take(next), Found::messages);
}

TEST(Gate, ManyThreadsNeitherLoseNorInventACredit) {
  Gate gate(8);
  auto inbox = one(WhenFull::wait);
  constexpr std::uint64_t total = 50'000;
  std::thread source([&] {
    for (std::uint64_t n = 0; n < total; ++n) inbox.put(0, message(n, gate.acquire()));
    inbox.put(0, end());
  });
  std::uint64_t seen = 0;
  for (Found found = Found::nothing; found != Found::end;) {
    Inbox::Firing firing;
    found = inbox.take(firing);
    if (found == Found::messages) {
      EXPECT_EQ(firing.number, seen++);
    }
    EXPECT_LE(inbox.counts(0).depth, 8u);
  }
  source.join();
  EXPECT_EQ(seen, total);
  EXPECT_LE(gate.peak(), 8);
  for (int slot = 0; slot < 8; ++slot) EXPECT_TRUE(gate.available());
}

}  // namespace
}  // namespace tests
