// control: lets other programs play and change live parameters, over ZeroMQ.
//
// Every command is answered on the sockets' thread, at once; what it asks of a game flows from here to `players`, which
// takes it with the next tick. Once a second, players hear that this is alive, and those who are gone leave.
#include <spdlog/spdlog.h>

#include <optional>

#include "graph/stage.h"
#include "stages/play/actions.h"
#include "stages/types.h"
#include "stages/wire/message.h"
#include "stages/wire/server.h"
#include "stages/wire/sessions.h"

namespace stages {
namespace {

using Pack = msgpack::packer<Answer>;

struct Control {
  struct Params : SessionLimits, BindKeys {
    std::string endpoint, topic = "frames";
  };

  void start(const graph::Context& context) {
    graph::require(context.run != nullptr, "control needs a run");
    desk = std::make_unique<Desk>(params, *context.run);
    spdlog::info("control: commands at {}", desk->server->endpoint());
  }

  std::optional<Action> operator()(const graph::Context& context) {
    return desk->sessions.next(context.stop_token());
  }

  void finish() { desk.reset(); }

  // What the handlers use, and what ends with them. Where another stage cannot start there is no finish(), and players
  // are told all the same.
  struct Desk {
    Desk(const Params& of_stage, graph::Run& the_run)
        : params(of_stage),
          run(the_run),
          sessions(params),
          server(serve_at(params.endpoint, params, largest_command)) {
      claims.push_back(server->attend({.heard = [this](const auto& peer) { sessions.heard(peer); },
                                       .gone = [this](const auto& peer) { sessions.gone(peer); },
                                       .tick = [this] { look_after(); }}));
      answer("join", [this](const auto& peer, auto, auto& given, Pack& ok) {
        const auto seed = given.integer_if_any("seed");
        given.end();
        const auto session = sessions.join(peer, seed);
        ok.pack_map(2);
        ok.pack("session").pack(session);
        ok.pack("topic").pack(params.topic + "/" + std::to_string(session));
      });
      answer("act", [this](const auto& peer, auto id, auto& given, Pack& ok) {
        const auto session = given.integer("session");
        const auto action = action_of(given.scalar("action"));
        given.end();
        sessions.act(peer, session, action, id);
        ok.pack_map(0);
      });
      answer("reset", [this](const auto& peer, auto, auto& given, Pack& ok) {
        const auto session = given.integer("session");
        const auto seed = given.integer_if_any("seed");
        given.end();
        sessions.reset(peer, session, seed);
        ok.pack_map(0);
      });
      answer("leave", [this](const auto& peer, auto, auto& given, Pack& ok) {
        const auto session = given.integer("session");
        given.end();
        sessions.leave(peer, session);
        ok.pack_map(0);
      });
      answer("set", [this](const auto&, auto, auto& given, Pack& ok) {
        const auto [stage, parameter] = name_of(given.text("name"));
        const auto value = given.scalar("value");
        given.end();
        graph::require(value.size() <= 256, "'value': too long");
        run.set(stage, parameter, value);
        ok.pack_map(0);
      });
      answer("get", [this](const auto&, auto, auto& given, Pack& ok) {
        const auto [stage, parameter] = name_of(given.text("name"));
        given.end();
        ok.pack_map(1);
        ok.pack("value").pack(run.get(stage, parameter));
      });
      answer("status", [this](const auto&, auto, auto& given, Pack& ok) {
        given.end();
        ok.pack_map(5);
        ok.pack("run_id").pack(run_id());
        std::vector<std::int64_t> numbers;
        if (params.local) numbers.push_back(0);
        for (const auto& member : sessions.members()) numbers.push_back(member.session);
        ok.pack("sessions").pack(numbers);
        ok.pack("max_players").pack(params.max_players);
        ok.pack("parameters").pack(run.live());
        ok.pack("waiting").pack(sessions.waiting());
      });
    }

    ~Desk() {
      claims.clear();  // so that nobody joins, and nothing is said, after this
      for (const auto& member : sessions.members()) server->tell(member.peer, "end", {});
    }
    Desk(const Desk&) = delete;

    void answer(const std::string& command, auto handler) {
      claims.push_back(
          server->handle(command, [handler](const Server::Peer& peer, std::int64_t id, Arguments& given) {
            Answer ok;
            Pack pack(ok);
            handler(peer, id, given, pack);
            return ok;
          }));
    }

    void look_after() {
      const auto now = std::chrono::steady_clock::now();
      if (now - looked < std::chrono::seconds(1)) return;
      looked = now;
      for (const auto& member : sessions.expire()) server->tell(member.peer, "left", member.session);
      std::set<Server::Peer> peers;
      for (const auto& member : sessions.members()) peers.insert(member.peer);
      for (const auto& peer : peers) server->tell(peer, "alive", {});
    }

    static std::pair<std::string, std::string> name_of(const std::string& text) {
      const auto dot = text.find('.');
      if (dot == std::string::npos) throw graph::Error("'name': expected stage.parameter, as denoise.steps");
      return {text.substr(0, dot), text.substr(dot + 1)};
    }

    const Params params;
    graph::Run& run;
    Sessions sessions;
    std::shared_ptr<Server> server;
    std::chrono::steady_clock::time_point looked;
    std::vector<Server::Claim> claims;  // the last member: they end before what their handlers use
  };

  Params params;
  std::unique_ptr<Desk> desk;
};

using P = Control::Params;
const bool registered =
    graph::Stage<Control>("control")
        .summary("let other programs play, over ZeroMQ")
        .out("action", "what somebody wants from now on")
        .param("endpoint", &P::endpoint,
               "where others connect: ipc://NAME, ipc://PATH or tcp://127.0.0.1:PORT")
        .param("topic", &P::topic, "of the tap of frames, which players are told to watch")
        .param("max_players", &P::max_players, "besides who plays at this machine", graph::between(0, 1024))
        .param("actions", &P::actions, "the game's last action; 1 is stay", graph::between(1, 1000))
        .param("timeout", &P::timeout, "without a command until a player leaves", graph::above(0))
        .unit("s")
        .shared("local", &P::local, "whether somebody plays at this machine, as session 0")
        .shared("key", &P::key, "a file with this server's secret key; with it, any address is allowed")
        .shared("clients", &P::clients, "a file with the public keys of those who may come")
        .in_flight(4096)
        .add();

}  // namespace
}  // namespace stages
