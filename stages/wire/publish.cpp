// publish: sends an edge to other programs, over ZeroMQ.
//
// `taps:` in a pipeline becomes stages of this type. Frames go player by player, under TOPIC/SESSION; all else goes
// under the topic itself. Nothing is encoded when nobody listens, and nothing here can hold the pipeline up: `seq`
// counts what came, so what an edge, a queue or a slow reader dropped shows as a gap.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <functional>
#include <map>
#include <set>

#include "graph/stage.h"
#include "stages/types.h"
#include "stages/wire/message.h"
#include "stages/wire/picture.h"
#include "stages/wire/publisher.h"

namespace stages {
namespace {

struct Publish {
  struct Params : BindKeys {
    std::string endpoint, topic;
    std::string encoding = "raw";
  };

  void start(const graph::Context& context) {
    const bool plain = !params.topic.empty() && params.topic.size() < 200 && params.topic != "hello" &&
                       params.topic.find_first_of(std::string("/\0", 2)) == std::string::npos;
    graph::require(plain, "topic: expected a short name without '/', and not 'hello'");
    publisher = publish_at(params.endpoint, params);
    const auto edges =
        context.run ? context.run->edges_into(context.stage) : std::vector<graph::EdgeReport>{};
    const auto edge = edges.empty() ? "" : edges[0].from;
    publisher->announce({params.topic, edge}, [run = context.run] { return run ? run->pipeline() : ""; });
    spdlog::info("tap: {} under '{}' at {}", edge, params.topic, publisher->endpoint());
  }

  void operator()(const graph::Any& message, const graph::Context& context) {
    const auto* frame = message.get<Frame>();
    if (!frame) seqs.try_emplace(params.topic);  // what was lost before the first counts, too
    const auto lost = newly_lost(context);
    for (auto& [topic, seq] : seqs) seq += lost;
    if (frame) return send_views(*frame);
    send(params.topic, [&] { return message; });
  }

  void finish() {
    if (!publisher) return;
    seqs.try_emplace(params.topic);
    for (const auto& [topic, seq] : seqs) send_end(topic);
    publisher.reset();
  }

  void send_views(const Frame& frame) {
    std::set<std::string> present;
    for (std::int64_t s = 0; s < frame.pixels.size(0); ++s) {
      const auto player = frame.players.empty() ? Player{s} : frame.players.at(static_cast<std::size_t>(s));
      const auto topic = params.topic + "/" + std::to_string(player.session);
      present.insert(topic);
      send(topic, [&] {
        return graph::Any::of(View{frame.pixels[s], frame.number, player.session,
                                   frame.action[s].item<std::int64_t>(), player.act, player.arrived_ns});
      });
    }
    std::erase_if(seqs, [&](const auto& each) {
      if (present.contains(each.first)) return false;
      send_end(each.first);
      return true;
    });
  }

  void send(const std::string& topic, const std::function<graph::Any()>& body) {
    const auto seq = seqs[topic]++;
    if (!publisher->is_heard(topic)) return;
    WireMessage message{.topic = topic, .run_id = run_id(), .seq = seq, .t_ns = unix_ns()};
    // Who watches cannot end what is watched.
    try {
      const auto noun = body();
      message.noun = pack(noun);
      if (params.encoding != "raw") {
        message.encoding = params.encoding;
        message.noun.payload = to_picture(noun.as<View>().pixels, params.encoding);
      }
      publisher->send(encode(message));
    } catch (const graph::Error& error) {
      if (std::exchange(complaint, error.what()) != error.what())
        spdlog::warn("tap '{}': {}", topic, error.what());
    }
  }

  void send_end(const std::string& topic) {
    WireMessage message{.topic = topic, .run_id = run_id(), .seq = seqs.at(topic), .t_ns = unix_ns()};
    message.noun = pack(graph::Any::of(End{}));
    publisher->send(encode(message));
  }

  // What the edge dropped since the last message.
  std::uint64_t newly_lost(const graph::Context& context) {
    if (!context.run) return 0;
    const auto dropped = context.run->edges_into(context.stage).at(0).counts.dropped;
    return dropped - std::exchange(lost_before, dropped);
  }

  Params params;
  std::shared_ptr<Publisher> publisher;
  std::map<std::string, std::uint64_t> seqs;  // the next one, by topic
  std::uint64_t lost_before = 0;
  std::string complaint;  // said already
};

using P = Publish::Params;
const bool registered =
    graph::Stage<Publish>("publish")
        .summary("send an edge to other programs, over ZeroMQ")
        .in("messages", "any noun but weights, gradients, snapshots and held-out clips")
        .shared("endpoint", &P::endpoint,
                "where others connect: ipc://NAME, ipc://PATH or tcp://127.0.0.1:PORT")
        .param("topic", &P::topic, "what the edge is called there")
        .param("encoding", &P::encoding, "of frames", graph::one_of({"raw", "png", "jpeg"}))
        .shared("key", &P::key, "a file with this server's secret key; with it, any address is allowed")
        .shared("clients", &P::clients, "a file with the public keys of those who may come")
        .on(graph::Executor::thread)
        .add();

}  // namespace
}  // namespace stages
