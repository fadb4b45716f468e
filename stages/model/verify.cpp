// verify: recomputes what the reference computed, and says how far apart the two are.
#include "stages/model/verify.h"

#include <ATen/Context.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <future>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "stages/model/mmdit.h"
#include "stages/model/muon.h"
#include "stages/model/patch_embed.h"
#include "stages/model/python_checkpoint.h"
#include "stages/model/safetensors.h"
#include "stages/model/schedule.h"
#include "stages/model/text_file.h"

namespace model {
namespace {

namespace fs = std::filesystem;
using Judged = Agreement::Judged;
using Report = std::function<void(const Agreement&)>;

struct Difference {
  double absolute = 0, relative = 0;
};

Difference difference(const at::Tensor& ours, const at::Tensor& theirs, const std::string& name) {
  if (ours.sizes() != theirs.sizes())
    throw std::runtime_error(name + " is " + c10::str(theirs.sizes()) + ", expected " +
                             c10::str(ours.sizes()));
  if (ours.numel() == 0) return {};
  const at::Tensor reference = theirs.to(at::kDouble), apart = ours.to(at::kDouble) - reference;
  const double norm = reference.norm().item<double>();
  const double relative = apart.norm().item<double>() / (norm > 0 ? norm : 1);
  return {apart.abs().max().item<double>(), relative};
}

class Group {
 public:
  Group(std::string name, Judged judged, double tolerance) : tolerance_(tolerance) {
    agreement_.group = std::move(name);
    agreement_.judged = judged;
  }

  // `noise` is what the reference's own number is uncertain by, in the measure that is judged: half as much again is
  // never a disagreement.
  void compare(const std::string& name, const at::Tensor& ours, const at::Tensor& theirs, double noise = 0) {
    const Difference apart = difference(ours, theirs, name);
    const double judged = agreement_.judged == Judged::absolute ? apart.absolute : apart.relative,
                 tolerance = std::max(tolerance_, 1.5 * noise);
    if (compared_++ == 0 || larger(judged / tolerance, agreement_.difference / agreement_.tolerance)) {
      agreement_.worst = name;
      agreement_.difference = judged;
      agreement_.tolerance = tolerance;
    }
    if (larger(apart.absolute, agreement_.absolute)) agreement_.absolute = apart.absolute;
    if (larger(apart.relative, agreement_.relative)) agreement_.relative = apart.relative;
  }

  void tell(const Report& report) const {
    if (compared_ > 0) report(agreement_);
  }

 private:
  // What is not a number is further away than any number.
  static bool larger(double a, double b) { return std::isnan(a) || a > b; }

  Agreement agreement_;
  double tolerance_;
  int compared_ = 0;
};

// One golden folder in memory.
struct Golden {
  explicit Golden(const fs::path& folder)
      : path(folder / "golden.safetensors"),
        config(Config::from_json(read_text(folder / "config.json"))),
        network(config),
        weights(load_python(folder / "model.pt", config)),
        tensors(read_safetensors(path).tensors) {}

  const at::Tensor& at(const std::string& name) const {
    if (!tensors.contains(name)) throw std::runtime_error(path.string() + ": there is no " + name);
    return tensors.at(name);
  }
  at::Tensor patches(const std::string& name) const { return patchify(at(name), config.patch_size); }

  fs::path path;
  Config config;
  Mmdit network;
  Parameters weights, tensors;
};

struct Batch {
  at::Tensor x_t, v, t, action;

  explicit Batch(const Golden& golden)
      : x_t(golden.patches("train.x_t")),
        v(golden.patches("train.x0") - golden.patches("train.noise")),
        t(golden.at("train.t")),
        action(golden.at("train.actions")) {}
};

struct Differentiated {
  at::Tensor prediction, loss;
  std::vector<at::Tensor> gradients;
};

Differentiated differentiate(const Golden& golden, const Parameters& weights, const Batch& batch) {
  const Parameters leaves = weights.leaves();
  const at::Tensor prediction = golden.network.forward(leaves, batch.x_t, batch.t, batch.action),
                   loss = golden.network.loss(prediction, batch.x_t, batch.v, batch.t);
  return {prediction.detach(), loss.detach().view({1}), torch::autograd::grad({loss}, leaves.tensors)};
}

void verify_gradients(const Golden& golden, const Batch& batch, const Report& report) {
  Group noised("x_t", Judged::relative, 1e-6), prediction("v_pred", Judged::relative, 1e-5),
      loss("loss", Judged::relative, 1e-5), gradients("gradients", Judged::relative, 1e-4);
  const at::Tensor t = batch.t.unsqueeze(-1).unsqueeze(-1);
  noised.compare("train.x_t", golden.patches("train.x0") - t * batch.v, batch.x_t);
  const Differentiated found = differentiate(golden, golden.weights, batch);
  prediction.compare("train.v_pred", found.prediction, golden.patches("train.v_pred"));
  loss.compare("train.loss", found.loss, golden.at("train.loss"));
  for (std::size_t i = 0; i < golden.weights.size(); ++i) {
    const std::string name = "grad." + golden.weights.names[i];
    gradients.compare(name, found.gradients[i], golden.at(name));
  }
  for (const Group* group : {&noised, &prediction, &loss, &gradients}) group->tell(report);
}

// The reference's way of playing: with guidance by a second branch that has a cache of its own, and what is committed
// are the keys and values of the last Euler step's input.
void verify_rollout(const Golden& golden, const std::string& name, const Report& report) {
  const at::Tensor noise = golden.patches(name + ".noise"), frames = golden.patches(name + ".frames");
  const at::Tensor actions = golden.at(name + ".actions"),
                   chosen = golden.at(name + ".steps_cfg").to(at::kDouble);
  const double guidance = chosen[1].item<double>();
  const std::vector<double> levels = noise_levels({}, static_cast<int>(chosen[0].item<double>()));
  const std::int64_t players = noise.size(0), rows = 2 * players;
  std::vector<KvCache> caches;
  for (std::int64_t row = 0; row < rows; ++row) caches.emplace_back(golden.config);
  std::vector<KvCache*> cache_of_row;
  for (KvCache& cache : caches) cache_of_row.push_back(&cache);

  const auto packed = golden.network.pack(golden.weights);
  Group group(name, Judged::absolute, 1e-4);
  for (std::int64_t frame = 0; frame < noise.size(1); ++frame) {
    at::Tensor z = noise.select(1, frame);
    const at::Tensor given = actions.select(1, frame), action = at::cat({given, at::zeros_like(given)});
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
      const bool last = i + 2 == levels.size();
      const at::Tensor v = golden.network.forward_cached(
          *packed, at::cat({z, z}), at::full({rows}, levels[i], at::kFloat), action, cache_of_row, last);
      const at::Tensor guided = v.narrow(0, 0, players), none = v.narrow(0, players, players);
      z = z + (levels[i] - levels[i + 1]) * (none + guidance * (guided - none));
    }
    group.compare("frame " + std::to_string(frame), z, frames.select(1, frame));
  }
  group.tell(report);
}

// The directions [in, k] in which a gradient [out, in] is more than bfloat16's rounding; undefined where these
// are all. In the others it has nothing to say, and what the Newton–Schulz steps make of it is rounding, blown
// up 3.4445⁵ = 485 times.
at::Tensor determined(const at::Tensor& gradient) {
  const auto [u, values, v] = torch::linalg_svd(gradient.to(at::kDouble), false);
  const auto k = values.gt(0.01 * values.norm()).sum().item<std::int64_t>();
  return k < values.size(0) ? v.narrow(0, 0, k).t() : at::Tensor();
}

struct Steps {
  std::vector<at::Tensor> losses;  // before each step, [1]
  std::vector<Rates> rates;
  Parameters weights;  // after the last
};

// Gradients are off by `jitter` of themselves, drawn from the seed.
Steps take_steps(const Golden& golden, const Batch& batch, std::int64_t steps, double jitter,
                 std::uint64_t seed) {
  // What the reference was run with, whatever our own defaults are.
  Muon muon({.momentum = 0.95,
             .beta1 = 0.9,
             .beta2 = 0.95,
             .eps = 1e-10,
             .weight_decay = 1e-5,
             .clip = 10,
             .ema = 0,
             .ns_steps = 5,
             .ns_precision = "bfloat16"});
  const Rates highest{0.02, 3e-4};
  const double warmup = 2, end = 20;
  at::Generator random = at::detail::createCPUGenerator(seed);
  Steps taken;
  auto state = muon.start(golden.weights);
  for (std::int64_t step = 0; step < steps; ++step) {
    Differentiated found = differentiate(golden, state->weights, batch);
    if (jitter > 0)
      for (at::Tensor& gradient : found.gradients)
        gradient = gradient * (1 + jitter * at::empty_like(gradient).normal_(0, 1, random));
    const double share = cosine_with_warmup(static_cast<double>(step), warmup, end);
    taken.losses.push_back(found.loss);
    taken.rates.push_back({highest.muon * share, highest.adam * share});
    state = muon.step(state, found.gradients, taken.rates.back()).state;
  }
  taken.weights = state->weights;
  return taken;
}

// Calls work(0) … work(count − 1) on as many threads as there are cores, and throws what one of them threw.
void side_by_side(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::future<void>> workers;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    workers.push_back(std::async(std::launch::async, [&] {
      for (std::size_t each = next++; each < count; each = next++) work(each);
    }));
  for (auto& worker : workers) worker.wait();
  for (auto& worker : workers) worker.get();
}

// No oneDNN as long as this lives. Where the CPU can, it multiplies bfloat16 matrices and rounds each sum once; libtorch
// by itself rounds at every term. The reference's five steps are 3 % from these, and 8 % from oneDNN's.
class WithoutOneDnn {
 public:
  WithoutOneDnn() { at::globalContext().setUserEnabledMkldnn(false); }
  ~WithoutOneDnn() { at::globalContext().setUserEnabledMkldnn(before_); }
  WithoutOneDnn(const WithoutOneDnn&) = delete;
  WithoutOneDnn& operator=(const WithoutOneDnn&) = delete;

 private:
  const bool before_ = at::globalContext().userEnabledMkldnn();
};

// bfloat16 makes the steps chaotic: gradients that differ in the seventh digit lead to changes that differ by several
// percent. So the reference's one run is held against the mean of several such runs here, and their spread says how
// far from the mean a single run may be.
void verify_optimizer(const Golden& golden, const Batch& batch, const Report& report) {
  const WithoutOneDnn as_the_reference;
  constexpr double float_rounding = 1e-7;
  // The first loss that the optimizer had a hand in is the third: the first rate is 0.
  constexpr std::int64_t exact_losses = 2;
  Group early("opt.losses, first two", Judged::relative, 1e-5),
      late("opt.losses, others", Judged::relative, 2e-3), rates("opt.lrs", Judged::relative, 1e-6),
      changes("opt.param", Judged::relative, 0.05),
      undetermined("opt.param, rounding and all", Judged::nothing, 1);
  const at::Tensor losses = golden.at("opt.losses"), lrs = golden.at("opt.lrs").to(at::kDouble);
  if (losses.dim() != 1 || losses.size(0) > 1000 || lrs.sizes() != at::IntArrayRef({losses.size(0), 2}))
    throw std::runtime_error("opt.losses and opt.lrs are not [n] and [n,2]");
  // The mean of three is nearly as good, and bfloat16 products of large matrices take minutes.
  std::vector<Steps> all(golden.weights.count() < 1'000'000 ? 8 : 3);
  side_by_side(all.size(), [&](std::size_t run) {
    all[run] = take_steps(golden, batch, losses.size(0), run == 0 ? 0 : float_rounding, run);
  });

  for (std::int64_t step = 0; step < losses.size(0); ++step) {
    const std::string number = " " + std::to_string(step);
    const auto at = static_cast<std::size_t>(step);
    (step < exact_losses ? early : late)
        .compare("opt.losses" + number, all[0].losses[at], losses.narrow(0, step, 1));
    rates.compare("opt.lrs" + number, at::tensor({all[0].rates[at].muon, all[0].rates[at].adam}, at::kDouble),
                  lrs[step]);
  }
  for (std::size_t i = 0; i < golden.weights.size(); ++i) {
    const std::string& name = golden.weights.names[i];
    const at::Tensor& start = golden.weights.tensors[i];
    at::Tensor directions;
    if (updated_by_muon(name, start)) directions = determined(golden.at("grad." + name).flatten(1));
    const auto change = [&](const at::Tensor& parameter, bool project) {
      const at::Tensor whole = (parameter - start).to(at::kDouble);
      return project && directions.defined() ? at::mm(whole, directions) : whole;
    };
    std::vector<at::Tensor> ours;
    for (const Steps& run : all) ours.push_back(change(run.weights.tensors[i], true));
    const at::Tensor stacked = at::stack(ours), mean = stacked.mean(0),
                     theirs = golden.at("opt.param." + name);
    const double spread =
                     (stacked - mean).square().sum().item<double>() / static_cast<double>(all.size() - 1),
                 noise = std::sqrt(spread) / std::max(mean.norm().item<double>(), 1e-12);
    changes.compare(name, mean, change(theirs, true), noise);
    if (directions.defined())
      undetermined.compare(name, change(all[0].weights.tensors[i], false), change(theirs, false));
  }
  for (const Group* group : {&early, &late, &rates, &changes, &undetermined}) group->tell(report);
}

void verify_folder(const fs::path& folder, const Report& report) {
  const Golden golden(folder);
  const Batch batch(golden);
  const auto within = [](const at::Tensor& numbers, double low, double high) {
    return numbers.numel() == 0 ||
           (numbers.min().item<double>() >= low && numbers.max().item<double>() <= high);
  };
  if (!within(batch.t, 0, 1) || !within(batch.action, 0, static_cast<double>(golden.config.n_actions - 1)))
    throw std::runtime_error("train.t is not in [0,1], or train.actions not in the model's range");
  verify_gradients(golden, batch, report);
  constexpr std::string_view frames = ".frames";
  for (const std::string& name : golden.tensors.names)
    if (name.starts_with("rollout") && name.ends_with(frames))
      verify_rollout(golden, name.substr(0, name.size() - frames.size()), report);
  if (golden.tensors.contains("opt.losses")) verify_optimizer(golden, batch, report);
}

Schedule from_diffusers(const nlohmann::json& options) {
  Schedule schedule{.schedule = "sd3", .shift = 1};
  for (const auto& [key, value] : options.items()) {
    const auto spaced = [&](const char* spacing) {
      if (value.get<bool>()) schedule.spacing = spacing;
    };
    if (key == "shift")
      schedule.shift = value;
    else if (key == "shift_terminal")
      schedule.terminal = value.is_null() ? 0.0 : value.get<double>();
    else if (key == "use_karras_sigmas")
      spaced("karras");
    else if (key == "use_exponential_sigmas")
      spaced("exponential");
    else if (key == "use_beta_sigmas")
      spaced("beta");
    else
      throw std::runtime_error("option '" + key + "' is not known here");
  }
  return schedule;
}

std::vector<std::vector<double>> trajectory(const std::vector<double>& levels) {
  std::vector<double> x{1, -0.5, 0.25};
  std::vector<std::vector<double>> all;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    for (double& each : x) each += (levels[i + 1] - levels[i]) * (0.3 * each + levels[i]);
    all.push_back(x);
  }
  return all;
}

int steps_of(const nlohmann::json& entry) {
  const auto& steps = entry.at("steps");
  if (!steps.is_number_unsigned() || steps.get<std::uint64_t>() > 1000)
    throw std::runtime_error("steps is " + steps.dump() + ", expected 1 to 1000");
  return steps.get<int>();
}

at::Tensor row(const std::vector<double>& numbers) { return at::tensor(numbers, at::kDouble); }

void verify_schedules(const nlohmann::json& file, const Report& report) {
  Group sigmas("sigmas", Judged::absolute, 1e-6), timesteps("timesteps", Judged::relative, 1e-6),
      trajectories("trajectories", Judged::absolute, 1e-6);
  for (const auto& entry : file.value("diffusers", nlohmann::json::array())) {
    const auto name = entry.at("name").get<std::string>() + " " + entry.at("steps").dump();
    const auto levels = noise_levels(from_diffusers(entry.at("options")), steps_of(entry));
    sigmas.compare(name, row(levels), row(entry.at("sigmas")));
    timesteps.compare(name, row({levels.begin(), levels.end() - 1}) * 1000, row(entry.at("timesteps")));
    const auto found = trajectory(levels);
    const auto& expected = entry.at("trajectory");
    if (found.size() != expected.size())
      throw std::runtime_error(name + ": the trajectory has " + std::to_string(expected.size()) +
                               " points, expected " + std::to_string(found.size()));
    for (std::size_t i = 0; i < found.size(); ++i)
      trajectories.compare(name, row(found[i]), row(expected[i]));
  }
  for (const auto& entry : file.value("toy", nlohmann::json::array()))
    sigmas.compare("shifted_linear " + entry.at("steps").dump(),
                   row(noise_levels({.shift = entry.at("shift")}, steps_of(entry))), row(entry.at("sigmas")));
  for (const Group* group : {&sigmas, &timesteps, &trajectories}) group->tell(report);
}

}  // namespace

bool Agreement::holds() const {
  if (judged == Judged::nothing) return true;
  return difference <= tolerance;
}

void verify(const fs::path& path, const Report& report) {
  bool compared = false;
  const auto tell = [&](const Agreement& agreement) {
    compared = true;
    report(agreement);
  };
  try {
    if (fs::is_directory(path))
      verify_folder(path, tell);
    else
      verify_schedules(nlohmann::json::parse(read_text(path)), tell);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw std::runtime_error(text.starts_with(path.string()) ? text : path.string() + ": " + text);
  }
  if (!compared) throw std::runtime_error(path.string() + ": nothing to compare in it");
}

}  // namespace model
