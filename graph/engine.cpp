// engine: nodes, executors, ending, first error, watchdog.
#include "graph/engine.h"

#include <tbb/flow_graph.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "graph/layers.h"

namespace graph {
namespace {

namespace flow = tbb::flow;
using Clock = std::chrono::steady_clock;

constexpr auto idle_period = std::chrono::milliseconds(5);
constexpr int turn = 32;  // firings before a stage lets others have its worker

std::int64_t now_ns() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

// Two threads write the age and busy sums of a stage never at once, but telemetry reads them meanwhile.
void add(std::atomic<std::int64_t>& sum, std::int64_t value) {
  sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

class Engine::Impl final : public Run {
 public:
  Impl(Pipeline pipeline, RunOptions options) : plan_(std::move(pipeline)), options_(std::move(options)) {
    const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    // One more than the cores: sources and other threads put messages in but do not work in the arena.
    parallelism_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(cores) + 1);
    arena_.initialize(cores + 1);
    // A graph belongs to the arena of the thread that makes it.
    arena_.execute([&] { graph_.emplace(); });
    for (std::size_t i = 0; i < plan_.stages.size(); ++i) add_node(i);
    connect();
  }

  ~Impl() override {
    for (auto& node : nodes_) node->inbox.close();
    if (graph_) graph_->wait_for_all();
    // What a stage has running may ask for another's parameters until that stage is gone.
    for (auto& node : nodes_) {
      std::unique_ptr<Instance> gone;  // destroyed after the lock is released
      const std::lock_guard lock(node->live_mutex);
      gone = std::move(node->instance);
    }
  }

  void run() {
    start_time_ = Clock::now() - std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(options_.elapsed));
    start_stages();
    if (!failed()) {
      running_ = nodes_.size();
      std::thread watchdog([this] { watch(); });
      for (auto& node : nodes_)
        if (node->executor == Executor::thread)
          node->thread = std::thread([this, n = node.get()] { n->is_source() ? pull(*n) : serve(*n); });
      serve_main();
      for (auto& node : nodes_)
        if (node->thread.joinable()) node->thread.join();
      graph_->wait_for_all();
      watchdog.join();
    }
    const std::lock_guard lock(mutex_);
    if (error_) throw *error_;
  }

  // --- Run -----------------------------------------------------------------------------------------------

  void stop() override {
    stop_.request_stop();
    close_sources();
  }
  std::stop_token stop_token() const override { return stop_.get_token(); }
  bool failed() const override { return failed_.load(std::memory_order_relaxed); }
  bool ends() const override { return plan_.stop.steps || plan_.stop.minutes; }
  std::uint64_t steps() const override { return plan_.stop.steps.value_or(0); }
  std::uint64_t first() const override { return options_.first; }
  double elapsed() const override {
    return std::chrono::duration<double>(Clock::now() - start_time_).count();
  }
  const std::filesystem::path& folder() const override { return options_.folder; }
  std::string pipeline() const override {
    auto now = plan_.merged;
    for (const auto& [name, text] : live()) {
      const auto dot = name.find('.');
      auto* value = now.find("stages")->find(name.substr(0, dot))->find(name.substr(dot + 1));
      if (value && value->is_scalar()) value->scalar = text;
    }
    return to_yaml(now);
  }
  std::vector<EdgeReport> edges_into(const std::string& stage) const override {
    for (const auto& node : nodes_)
      if (node->plan.name == stage) return reports(*node);
    return {};
  }
  double progress(std::uint64_t number) const override {
    double done = 0;
    if (plan_.stop.steps) done = static_cast<double>(number) / static_cast<double>(*plan_.stop.steps);
    if (plan_.stop.minutes) done = std::max(done, elapsed() / 60 / *plan_.stop.minutes);
    return std::clamp(done, 0.0, 1.0);
  }

  std::string whereabouts() const {
    std::string text;
    for (const auto& node : nodes_) {
      if (node->over) continue;
      const auto since = node->since_ns.load();
      text += (text.empty() ? "" : "; ") + std::string("stage '") + node->plan.name + "' ";
      if (since != 0) {
        const auto* hook = node->hook.load();
        text += "has been in " +
                (hook ? hook + std::string("()") : "message " + std::to_string(node->number.load())) +
                " for " + std::to_string((now_ns() - since) / 1'000'000'000) + " s";
      } else if (node->gate && !node->gate->available()) {
        text += "waits for one of its " + std::to_string(node->plan.in_flight) + " messages to be done";
      } else if (!node->is_source()) {
        text += "waits for";
        for (std::size_t e = 0; e < node->edges.size(); ++e) {
          const auto& edge = plan_.edges[node->edges[e]];
          text += (e ? ", '" : " '") + node->plan.type->inputs[edge.input].name + "' (depth " +
                  std::to_string(node->inbox.counts(e).depth) + ")";
        }
      } else {
        text += "is between two messages";
      }
    }
    return text;
  }

  Telemetry telemetry() const {
    Telemetry all;
    for (const auto& node : nodes_) {
      StageCounts counts;
      counts.name = node->plan.name;
      counts.messages = node->messages;
      counts.tombstones = node->tombstones;
      counts.busy_seconds = static_cast<double>(node->busy_ns) * 1e-9;
      counts.in_flight_peak = node->gate ? node->gate->peak() : 0;
      if (node->messages > 0)
        counts.age_mean_ms =
            static_cast<double>(node->age_sum_ns) * 1e-6 / static_cast<double>(node->messages);
      counts.age_max_ms = static_cast<double>(node->age_max_ns) * 1e-6;
      all.stages.push_back(counts);
      for (auto& report : reports(*node)) all.edges.push_back(std::move(report));
    }
    return all;
  }

  void set(const std::string& stage, const std::string& key, const std::string& text) override {
    auto [node, parameter] = find_live(stage, key);
    const auto value = parse_override(text, {stage + "." + key, 0, 0});
    // A value that does not fit is refused here, by a trial, and not later on the stage's thread.
    parameter->decode(node->plan.type->default_params().get(), value);
    const std::lock_guard lock(node->live_mutex);
    std::erase_if(node->live, [same = parameter](const auto& earlier) { return earlier.first == same; });
    node->live.emplace_back(parameter, value);
    node->has_live = true;
  }

  std::string get(const std::string& stage, const std::string& key) const override {
    auto [node, parameter] = find_live(stage, key);
    const std::lock_guard lock(node->live_mutex);
    for (auto change = node->live.rbegin(); change != node->live.rend(); ++change)
      if (change->first == parameter) return change->second.scalar;
    if (!node->instance) throw Error("the run is over");
    return parameter->text(node->instance->params());
  }

  std::map<std::string, std::string> live() const override {
    std::map<std::string, std::string> all;
    for (const auto& node : nodes_)
      for (const auto& parameter : node->plan.type->parameters)
        if (parameter.live)
          all[node->plan.name + "." + parameter.name] = get(node->plan.name, parameter.name);
    return all;
  }

 private:
  struct Waker {
    std::mutex wake_mutex;
    std::condition_variable woken;
    bool awake = false;
  };

  struct Node : Waker {
    Node(StagePlan stage_plan, std::vector<Inbox::Edge> inbox_edges)
        : is_sink(std::ranges::all_of(stage_plan.type->outputs,
                                      [](const auto& port) { return port.from_idle || port.opening; })),
          plan(std::move(stage_plan)),
          inbox(plan.type->inputs, std::move(inbox_edges)) {}

    bool is_source() const { return plan.type->is_source(); }

    // Nothing that follows its inputs leaves it.
    const bool is_sink;

    StagePlan plan;
    Executor executor = Executor::cpu;
    std::unique_ptr<Gate> gate;  // declared before what holds its credits
    Inbox inbox;
    std::vector<std::size_t> edges;  // into the stage, indices of Pipeline::edges
    std::unique_ptr<Instance> instance;
    std::vector<std::unique_ptr<flow::broadcast_node<Message>>> outputs;
    std::vector<std::unique_ptr<flow::function_node<Message, flow::continue_msg, flow::lightweight>>> entries;
    std::unique_ptr<flow::function_node<flow::continue_msg>> core;
    std::atomic<bool> scheduled{false};

    std::thread thread;
    std::stop_source closing;  // of a source

    // Used by the executor alone.
    Inbox::Firing firing;
    std::int64_t done_ns = 0;  // end of the call before, 0 when something else came in between
    std::vector<Any> results;
    Context context;
    std::uint64_t own_number = 0;   // of the next message that follows no input
    std::uint64_t next_number = 0;  // after all that followed an input

    std::mutex live_mutex;
    std::vector<std::pair<const Parameter*, Value>> live;
    std::atomic<bool> has_live{false};

    std::atomic<bool> over{false};
    bool failed = false;
    std::atomic<std::int64_t> since_ns{0};   // start of the call under way, 0 when there is none
    std::atomic<const char*> hook{nullptr};  // what is called; null for operator()
    std::atomic<std::uint64_t> number{0}, messages{0}, tombstones{0};
    std::atomic<std::int64_t> busy_ns{0}, age_sum_ns{0}, age_max_ns{0};
  };

  std::pair<Node*, const Parameter*> find_live(const std::string& stage, const std::string& key) const {
    std::vector<std::string> names;
    for (const auto& node : nodes_) {
      names.push_back(node->plan.name);
      if (node->plan.name != stage) continue;
      const auto& known = node->plan.type->parameters;
      const auto parameter = std::ranges::find(known, key, &Parameter::name);
      if (parameter == known.end()) {
        names.clear();
        for (const auto& each : known) names.push_back(each.name);
        throw Error("stage '" + stage + "' has no parameter '" + key + "'" + did_you_mean(key, names));
      }
      if (!parameter->live)
        throw Error("'" + stage + "." + key +
                    "' cannot change while the pipeline runs; set it before the start");
      return {node.get(), &*parameter};
    }
    throw Error("no stage '" + stage + "'" + did_you_mean(stage, names));
  }

  // --- building ------------------------------------------------------------------------------------------

  void add_node(std::size_t i) {
    const auto& plan = plan_.stages[i];
    std::vector<Inbox::Edge> inbox_edges;
    std::vector<std::size_t> edges;
    for (std::size_t e = 0; e < plan_.edges.size(); ++e) {
      const auto& edge = plan_.edges[e];
      if (edge.to != i) continue;
      inbox_edges.push_back({edge.input, edge.when_full, edge.capacity, edge.feedback > 0});
      edges.push_back(e);
    }
    auto node = std::make_unique<Node>(plan, inbox_edges);
    node->edges = std::move(edges);
    node->executor = plan.type->executor;
    node->instance = plan.type->make(plan.params);
    node->context = {.number = options_.first, .stage = plan.name, .run = this};
    if (plan.type->is_source()) node->context.closing = node->closing.get_token();
    node->next_number = options_.first;
    node->results.resize(plan.type->outputs.size());
    if (plan.in_flight > 0) {
      node->gate = std::make_unique<Gate>(plan.in_flight);
      if (!node->is_source()) {
        node->inbox.set_gate(node->gate.get());
        node->gate->on_release = [this, n = node.get()] { schedule(*n); };
      }
    }
    for (std::size_t o = 0; o < plan.type->outputs.size(); ++o)
      node->outputs.push_back(std::make_unique<flow::broadcast_node<Message>>(*graph_));
    if (node->executor == Executor::cpu)
      node->core = std::make_unique<flow::function_node<flow::continue_msg>>(
          *graph_, flow::serial, [this, n = node.get()](const flow::continue_msg&) { work(*n); });
    nodes_.push_back(std::move(node));
  }

  void connect() {
    for (auto& node : nodes_) {
      for (std::size_t e = 0; e < node->edges.size(); ++e) {
        const auto& edge = plan_.edges[node->edges[e]];
        node->entries.push_back(
            std::make_unique<flow::function_node<Message, flow::continue_msg, flow::lightweight>>(
                *graph_, flow::unlimited, [this, e, n = node.get()](const Message& message) noexcept {
                  n->inbox.put(e, message);
                  schedule(*n);
                  return flow::continue_msg{};
                }));
        flow::make_edge(*nodes_[edge.from]->outputs[edge.output], *node->entries.back());
      }
    }
  }

  std::vector<EdgeReport> reports(const Node& node) const {
    std::vector<EdgeReport> all;
    for (std::size_t e = 0; e < node.edges.size(); ++e) {
      const auto& edge = plan_.edges[node.edges[e]];
      const auto& from = plan_.stages[edge.from];
      all.push_back({from.name + "." + from.type->outputs[edge.output].name,
                     node.plan.name + "." + node.plan.type->inputs[edge.input].name, edge.when_full,
                     node.inbox.counts(e)});
    }
    return all;
  }

  // --- executors -----------------------------------------------------------------------------------------

  void schedule(Node& node) {
    if (node.executor == Executor::cpu) {
      if (!node.scheduled.exchange(true)) node.core->try_put(flow::continue_msg{});
      return;
    }
    wake(node.executor == Executor::main ? main_ : static_cast<Waker&>(node));
  }

  static void wake(Waker& waker) {
    const std::lock_guard lock(waker.wake_mutex);
    if (!std::exchange(waker.awake, true)) waker.woken.notify_one();
  }

  void work(Node& node) {
    int fired = 0;
    node.done_ns = 0;
    while (fired < turn && fire(node)) ++fired;
    // Between the last look and this store a message may have come that did not schedule.
    node.scheduled = false;
    if (!node.over && node.inbox.ready() && !node.scheduled.exchange(true))
      node.core->try_put(flow::continue_msg{});
  }

  static void rest(Waker& waker, bool idles) {
    std::unique_lock lock(waker.wake_mutex);
    if (idles)
      waker.woken.wait_for(lock, idle_period, [&] { return waker.awake; });
    else
      waker.woken.wait(lock, [&] { return waker.awake; });
    waker.awake = false;
  }

  void serve(Node& node) {
    while (!node.over) {
      if (fire(node)) continue;
      if (node.over) break;
      if (node.plan.type->idles) idle(node);
      rest(node, node.plan.type->idles);
    }
  }

  void serve_main() {
    std::vector<Node*> mine;
    bool idles = false;
    for (auto& node : nodes_)
      if (node->executor == Executor::main) {
        mine.push_back(node.get());
        idles |= node->plan.type->idles;
      }
    while (running_ > 0) {
      bool fired = false;
      for (auto* node : mine) {
        node->done_ns = 0;
        if (!node->over) fired |= fire(*node);
      }
      if (fired) continue;
      for (auto* node : mine)
        if (!node->over && node->plan.type->idles) idle(*node);
      if (running_ == 0) break;
      rest(main_, idles);
    }
  }

  void pull(Node& node) {
    auto number = options_.first;
    const auto last = plan_.stop.steps.value_or(UINT64_MAX);
    for (; number < last; ++number) {
      auto credit = node.gate->acquire();
      if (!credit) break;
      node.done_ns = 0;
      node.context.number = number;
      bool more = false;
      if (!guard(node, [&] { more = node.instance->call({}, node.results, node.context); }) || !more) break;
      count(node);
      emit(node, number, node.done_ns, credit);
    }
    end(node);
  }

  // --- firing --------------------------------------------------------------------------------------------

  // One step of a stage that is not a source; false when there was nothing to do.
  bool fire(Node& node) {
    auto& firing = node.firing;
    switch (node.inbox.take(firing)) {
      case Inbox::Found::nothing:
        node.done_ns = 0;
        return false;
      case Inbox::Found::end:
        end(node);
        return false;
      case Inbox::Found::tombstone:
        // emit() counts what leaves; from a sink nothing does.
        if (node.is_sink) count_tombstone(node);
        break;
      case Inbox::Found::messages:
        if (failed()) break;
        node.context.number = firing.number;
        guard(node, [&] { node.instance->call(firing.inputs, node.results, node.context); });
        count(node);
        note_age(node);
        break;
    }
    firing.inputs.clear();
    emit(node, firing.number, firing.born_ns, firing.credit);
    firing.credit.reset();
    return true;
  }

  // Only the executor adds, so a plain sum will do.
  static void count(Node& node) { node.messages.store(node.messages.load(std::memory_order_relaxed) + 1); }
  static void count_tombstone(Node& node) {
    node.tombstones.store(node.tombstones.load(std::memory_order_relaxed) + 1);
  }

  static void note_age(Node& node) {
    if (!node.is_sink || node.firing.born_ns == 0) return;
    const auto age = node.done_ns - node.firing.born_ns;
    add(node.age_sum_ns, age);
    if (age > node.age_max_ns) node.age_max_ns = age;
  }

  void emit(Node& node, std::uint64_t number, std::int64_t born_ns, const Credit& credit) {
    node.next_number = number + 1;
    bool filtered = !node.is_sink;
    for (std::size_t o = 0; o < node.results.size(); ++o) {
      if (node.plan.type->outputs[o].opening) continue;
      if (node.plan.type->outputs[o].from_idle) {
        emit_own(node, o);
        continue;
      }
      Message message;
      message.body = std::exchange(node.results[o], {});
      message.number = number;
      message.born_ns = born_ns;
      message.credit = credit;
      message.kind = message.body ? Message::Kind::data : Message::Kind::tombstone;
      filtered &= message.kind == Message::Kind::tombstone;
      node.outputs[o]->try_put(message);
    }
    if (filtered) count_tombstone(node);
  }

  // A message that follows no input: numbered by the stage itself, without a credit, to edges that drop.
  void emit_own(Node& node, std::size_t o) {
    if (!node.results[o]) return;
    Message message;
    message.body = std::exchange(node.results[o], {});
    message.number = node.own_number++;
    message.born_ns = now_ns();
    node.outputs[o]->try_put(message);
  }

  void idle(Node& node) {
    if (failed()) return;
    guard(
        node, [&] { node.instance->idle(node.results, node.context); }, "idle");
    for (std::size_t o = 0; o < node.results.size(); ++o)
      if (node.plan.type->outputs[o].from_idle) emit_own(node, o);
    node.done_ns = 0;
  }

  // finish(), its last message, the end.
  void end(Node& node) {
    const bool was_fed = node.inbox.is_fed();
    node.context.left = node.inbox.close();
    if (!node.failed) {
      guard(
          node, [&] { node.instance->finish(node.results, node.context); }, "finish");
      node.own_number = std::max(node.own_number, node.next_number);
      for (std::size_t o = 0; o < node.results.size(); ++o) emit_own(node, o);
    }
    Message last;
    last.kind = Message::Kind::end;
    for (auto& output : node.outputs) output->try_put(last);
    node.over = true;
    if (was_fed) close_unheard();
    --running_;
    wake(main_);
    wake(watchdog_);
  }

  // Calls into a stage. Nothing that it throws gets out: an exception that left a graph body would leave the
  // graph unusable.
  template <class F>
  bool guard(Node& node, F&& call, const char* hook = nullptr) {
    apply_live(node);
    const auto number = node.context.number;
    // Looking at the clock costs as much as the rest; what follows a call at once begins at its end.
    const auto begin = node.done_ns != 0 ? node.done_ns : now_ns();
    node.number.store(number, std::memory_order_relaxed);
    node.hook.store(hook, std::memory_order_relaxed);
    node.since_ns.store(begin, std::memory_order_relaxed);
    bool fine = true;
    try {
      call();
    } catch (const std::exception& error) {
      fine = false;
      fail(node, hook, error.what());
    } catch (...) {
      fine = false;
      fail(node, hook, "unknown exception");
    }
    if (!fine)
      for (auto& result : node.results) result = {};
    node.since_ns.store(0, std::memory_order_relaxed);
    node.done_ns = now_ns();
    if (!hook) add(node.busy_ns, node.done_ns - begin);
    return fine;
  }

  static void apply_live(Node& node) {
    if (!node.has_live.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(node.live_mutex);
    for (const auto& [parameter, value] : node.live) parameter->decode(node.instance->params(), value);
    node.live.clear();
    node.has_live = false;
  }

  void start_stages() {
    for (auto& node : nodes_) {
      if (!guard(
              *node, [&] { node->instance->start(node->results, node->context); }, "start"))
        return;
      // What start() returns is for openings, once, and for feedback edges, as often as each of them says.
      for (const auto& edge : plan_.edges) {
        if (nodes_[edge.from] != node) continue;
        const bool opening = node->plan.type->outputs[edge.output].opening && node->results[edge.output];
        const int tokens = edge.feedback ? edge.feedback : opening ? 1 : 0;
        if (tokens == 0) continue;
        auto& to = *nodes_[edge.to];
        const auto slot = static_cast<std::size_t>(&edge - plan_.edges.data());
        const auto e = static_cast<std::size_t>(std::ranges::find(to.edges, slot) - to.edges.begin());
        if (!node->results[edge.output])
          return fail(*node, "start",
                      "start() gave no first message for '" + to.plan.name + "', which waits for it");
        for (int token = 0; token < tokens; ++token) {
          Message message;
          message.body = node->results[edge.output];
          message.number = static_cast<std::uint64_t>(token);
          to.inbox.put(e, message);
        }
      }
      for (auto& result : node->results) result = {};
      node->done_ns = 0;
    }
  }

  // --- ending --------------------------------------------------------------------------------------------

  static void close_source(Node& node) {
    node.closing.request_stop();
    node.gate->close();
  }

  void close_sources() {
    for (auto& node : nodes_)
      if (node->is_source()) close_source(*node);
  }

  // A join ends with the first of its inputs, and a sampled source may never end: what only worked for a stage
  // that is over would go on for ever.
  void close_unheard() {
    std::vector<bool> heard;
    for (const auto& node : nodes_) heard.push_back(!node->over);
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        bool has_readers = false, has_heard_readers = false;
        for (const auto& edge : plan_.edges) {
          if (edge.from != i || edge.feedback) continue;
          const auto& port = nodes_[i]->plan.type->outputs[edge.output];
          if (port.from_idle || port.opening) continue;
          has_readers = true;
          has_heard_readers = has_heard_readers || heard[edge.to];
        }
        if (!heard[i] || !has_readers || has_heard_readers) continue;
        heard[i] = false;
        more = true;
      }
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!heard[i] && nodes_[i]->is_source()) close_source(*nodes_[i]);
  }

  void fail(Node& node, const char* hook, std::string text) {
    node.failed = true;
    // libtorch puts a backtrace behind its first line.
    text.resize(std::min(text.find('\n'), text.size()));
    const auto when = hook ? std::string() : ", message " + std::to_string(node.context.number);
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_.emplace(node.plan.place, "stage '" + node.plan.name + "'" + when + ": " + text);
    }
    failed_ = true;
    stop();
  }

  // --- watchdog ------------------------------------------------------------------------------------------

  std::uint64_t moves() const {
    std::uint64_t sum = 0;
    for (const auto& node : nodes_)
      sum += node->messages.load() + node->tombstones.load() + (node->over ? 1 : 0);
    return sum;
  }

  void watch() {
    auto seen = moves();
    auto moved = Clock::now();
    Clock::duration patience = options_.quiet, longest{};
    while (running_ > 0) {
      {
        std::unique_lock lock(watchdog_.wake_mutex);
        watchdog_.woken.wait_for(
            lock, std::min<Clock::duration>(options_.quiet / 4, std::chrono::milliseconds(200)),
            [&] { return watchdog_.awake; });
        watchdog_.awake = false;
      }
      if (plan_.stop.minutes && elapsed() / 60 >= *plan_.stop.minutes) close_sources();
      const auto count = moves();
      if (count != seen) {
        seen = count;
        // A pipeline whose messages take minutes is not stuck after ten seconds.
        longest = std::max(longest, Clock::now() - moved);
        moved = Clock::now();
        patience = std::max<Clock::duration>(options_.quiet, 3 * longest);
      } else if (Clock::now() - moved >= patience && running_ > 0) {
        if (options_.warn)
          options_.warn(
              "nothing has moved for " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - moved).count()) +
              " s: " + whereabouts());
        patience *= 2;
      }
    }
  }

  Pipeline plan_;
  RunOptions options_;
  Clock::time_point start_time_ = Clock::now();
  std::stop_source stop_;
  Waker main_, watchdog_;
  std::atomic<std::size_t> running_{0};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  std::optional<Error> error_;

  std::optional<tbb::global_control> parallelism_;
  tbb::task_arena arena_;
  std::optional<flow::graph> graph_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

Engine::Engine(const Pipeline& pipeline, RunOptions options)
    : impl_(std::make_unique<Impl>(pipeline, std::move(options))) {}
Engine::~Engine() = default;
void Engine::run() { impl_->run(); }
void Engine::stop() { impl_->stop(); }
std::string Engine::whereabouts() const { return impl_->whereabouts(); }
Telemetry Engine::telemetry() const { return impl_->telemetry(); }
void Engine::set(const std::string& stage, const std::string& parameter, const std::string& value) {
  impl_->set(stage, parameter, value);
}
std::string Engine::get(const std::string& stage, const std::string& parameter) const {
  return impl_->get(stage, parameter);
}

}  // namespace graph
