// inject: takes messages from other programs, over ZeroMQ, for an input of this pipeline.
//
// `inject:` in a pipeline becomes stages of this type. What comes is what a tap would send, as the command `put` at a
// control endpoint; each is answered, so that none is lost unseen.
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "graph/stage.h"
#include "stages/wire/loop.h"
#include "stages/wire/message.h"
#include "stages/wire/server.h"

namespace stages {
namespace {

struct Inject {
  struct Params : BindKeys {
    std::string endpoint, topic, noun;
  };

  void start() {
    graph::require(!params.topic.empty() && !params.noun.empty(), "topic and noun: expected both");
    state = std::make_unique<State>();
    state->server = serve_at(params.endpoint, params, largest_message);
    state->claim = state->server->handle(
        "put " + params.topic, [noun = params.noun, to = state.get()](const auto&, auto, Arguments& given) {
          const auto message = decode(given.bytes("message"));
          given.end();
          if (message.noun.type != noun) throw graph::Error("expected the type " + noun);
          if (message.encoding != "raw") throw graph::Error("expected the encoding raw");
          auto body = unpack(message.noun.type, message.noun.fields, message.noun.payload);
          const std::lock_guard lock(to->mutex);
          if (to->waiting.size() >= most_waiting)
            throw graph::Error("busy: the pipeline has not taken the last ones yet");
          to->waiting.push_back(std::move(body));
          to->came.notify_one();
          Answer ok;
          msgpack::packer<Answer>(ok).pack_map(0);
          return ok;
        });
    spdlog::info("inject: {} under '{}' at {}", params.noun, params.topic, state->server->endpoint());
  }

  std::optional<graph::Any> operator()(const graph::Context& context) {
    std::unique_lock lock(state->mutex);
    if (!state->came.wait(lock, context.stop_token(), [&] { return !state->waiting.empty(); }))
      return std::nullopt;
    auto body = std::move(state->waiting.front());
    state->waiting.pop_front();
    return body;
  }

  void finish() { state.reset(); }

  struct State {
    std::shared_ptr<Server> server;
    std::mutex mutex;
    std::condition_variable_any came;
    std::deque<graph::Any> waiting;
    Server::Claim claim;  // the last member: it ends before what its handler uses
  };

  static constexpr std::size_t most_waiting = 16;
  Params params;
  std::unique_ptr<State> state;
};

using P = Inject::Params;
const bool registered =
    graph::Stage<Inject>("inject")
        .summary("take messages from other programs, over ZeroMQ")
        .out("messages", "of the type that is asked for")
        .param("endpoint", &P::endpoint, "where others connect, as of publish")
        .param("topic", &P::topic, "of the messages")
        .param("noun", &P::noun, "the type of the messages, as Action")
        .shared("key", &P::key, "a file with this server's secret key")
        .shared("clients", &P::clients, "a file with the public keys of those who may come")
        .add();

}  // namespace
}  // namespace stages
