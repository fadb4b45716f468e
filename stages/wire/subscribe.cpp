// subscribe: receives what a tap of another process publishes.
//
// Of players, it takes the one whose session is asked for, or the first that it hears. A message that was lost on the
// way, as the gap in `seq` tells, counts as filtered here. It ends where the tap does. It waits until somebody is there;
// when that connection breaks before the end, or another run begins there, it fails, and with it the pipeline.
#include <spdlog/spdlog.h>
#include <torch/types.h>

#include <optional>

#include "graph/stage.h"
#include "stages/types.h"
#include "stages/wire/message.h"
#include "stages/wire/picture.h"
#include "stages/wire/subscription.h"

namespace stages {
namespace {

using namespace std::chrono_literals;

struct Subscribe {
  struct Params : ConnectKeys {
    std::string endpoint, topic;
    std::int64_t session = -1;
  };

  void start() {
    graph::require(!params.topic.empty(),
                   "topic: expected the name of a tap; `./run tap ENDPOINT` lists them");
    // A zero byte ends a topic, so that frames are not also those of frames_small.
    const auto of_player =
        params.topic + "/" + (params.session < 0 ? "" : std::to_string(params.session) + '\0');
    subscription = subscribe_to(params.endpoint, {params.topic + '\0', of_player}, params);
  }

  std::optional<graph::Any> operator()(const graph::Context& context) {
    if (missing > 0) return --missing, graph::Any();
    if (ended) return std::nullopt;
    if (next) return take();
    for (auto said = std::chrono::steady_clock::now(); !context.stopping();) {
      if (const auto bytes = subscription->next(context.stop_token(), 500ms)) {
        auto message = decode(*bytes);
        // That somebody left says nothing of who is there.
        if (topic.empty() && message.noun.type == "End" && message.topic != params.topic) continue;
        if (topic.empty()) begin(message);
        if (message.topic != topic) continue;
        if (message.run_id != run)
          throw graph::Error("endpoint '" + params.endpoint +
                             "': another run began there, and the one before had not said its end");
        if (message.seq < seq || message.seq - seq > most_missing)
          throw graph::Error("the messages' numbers do not follow one another");
        missing = message.seq - std::exchange(seq, message.seq + 1);
        ended = message.noun.type == "End";
        if (!ended) next = std::move(message);
        return operator()(context);
      }
      if (const auto why = subscription->lost()) throw graph::Error(*why);
      if (topic.empty() && std::chrono::steady_clock::now() - said > 3s) {
        said = std::chrono::steady_clock::now();
        spdlog::info("{}: nothing comes from '{}' at {} so far", context.stage, params.topic,
                     params.endpoint);
      }
    }
    return std::nullopt;
  }

  void begin(const WireMessage& first) {
    topic = first.topic;
    run = first.run_id;
    seq = first.seq;
  }

  graph::Any take() {
    auto message = *std::exchange(next, {});
    if (message.encoding != "raw")
      message.noun.payload = from_picture(message.noun.payload, message.encoding);
    const auto body = unpack(message.noun.type, message.noun.fields, message.noun.payload);
    const auto* view = body.get<View>();
    if (!view) return body;
    graph::require(
        view->pixels.defined() && view->pixels.dim() == 3 && view->pixels.scalar_type() == at::kByte,
        "expected pixels [H,W,C] uint8");
    return graph::Any::of(Frame{view->pixels.unsqueeze(0),
                                torch::full({1}, view->action, torch::kLong),
                                {{view->session, view->act, view->arrived_ns}},
                                view->number});
  }

  static constexpr std::uint64_t most_missing = 10'000'000;
  Params params;
  std::unique_ptr<Subscription> subscription;
  std::string topic, run;     // of what is taken
  std::uint64_t seq = 0;      // of the next message
  std::uint64_t missing = 0;  // before `next`
  bool ended = false;         // after these
  std::optional<WireMessage> next;
};

using P = Subscribe::Params;
const bool registered =
    graph::Stage<Subscribe>("subscribe")
        .summary("receive what a tap of another process publishes")
        .out("messages", "as they are on the edge that is tapped; of frames, one player's")
        .shared("endpoint", &P::endpoint, "of the taps")
        .param("topic", &P::topic, "of the tap")
        .param("session", &P::session, "of the player, where frames are tapped; -1: the first that is heard")
        .shared("key", &P::key, "a file with one's own secret key, where the tap asks for keys")
        .shared("server", &P::server, "a file with the public key of who publishes")
        .add();

}  // namespace
}  // namespace stages
