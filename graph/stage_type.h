// stage_type: what the engine knows of a stage: its ports, its parameters, and how to make one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/context.h"
#include "graph/message.h"
#include "graph/parameter.h"

namespace graph {

/// Who may run a stage's body.
enum class Executor {
  cpu,     // oneTBB's workers; the body must not block
  thread,  // a thread of its own; the body may block
  main,    // the thread that called Engine::run; highgui wants it
};

/// How an input takes part in a firing.
enum class Intake { joined, sampled, gathered };

struct InputPort {
  std::string name, doc;
  Intake intake = Intake::joined;
  const Type* type = nullptr;  // null: any
};

struct OutputPort {
  std::string name, doc;
  const Type* type = nullptr;  // null: the type of the stage's Any input
  bool from_idle = false;      // idle() sends on it, so it follows no input and numbers its own messages
  bool from_start = false;     // start() returns it, so it can feed a feedback edge
  bool opening = false;        // start() alone sends on it: once, before any message
};

/// What one firing is given for one input port.
struct Input {
  Any one;                // joined; sampled, null when nothing has arrived
  std::vector<Any> many;  // gathered
};

/// A stage at work, its type erased. Not thread-safe: one caller at a time.
class Instance {
 public:
  virtual ~Instance() = default;
  /// Runs operator(). Outputs that were filtered stay null. Returns false when a source has ended.
  virtual bool call(std::span<const Input> in, std::span<Any> out, const Context& context) = 0;
  virtual void start(std::span<Any> out, const Context& context) = 0;
  virtual void idle(std::span<Any> out, const Context& context) = 0;
  virtual void finish(std::span<Any> out, const Context& context) = 0;
  /// The Params struct, for live changes; used between calls.
  virtual void* params() = 0;
};

/// A top-level block of the pipeline that a stage reads into a member of its Params.
struct BlockUse {
  std::string block;
  std::function<void*(void*)> member;  // Params* → the block's struct inside it
  bool optional = false;               // without the block there is no struct, where others have defaults
};

/// All that is known of a stage type; what `run stages NAME` prints.
struct StageType {
  std::string name, summary;
  std::vector<InputPort> inputs;
  std::vector<OutputPort> outputs;
  std::vector<Parameter> parameters;
  std::vector<std::string> shared;  // parameters that fall back to the top-level key of the same name
  std::vector<BlockUse> blocks;
  Executor executor = Executor::cpu;
  int in_flight = 4;     // default of a source
  bool writes = false;   // wants a run folder
  bool resumes = false;  // a run can go on from what it wrote there
  bool idles = false;    // has idle()
  std::function<std::shared_ptr<void>()> default_params;

  /// A stage with the given Params (made by default_params and decoded), not started.
  std::function<std::unique_ptr<Instance>(std::shared_ptr<void> params)> make;

  bool is_source() const { return inputs.empty(); }

  /// The output that the stage's bare name means: the only one, openings aside; outputs.size() where that is not so.
  std::size_t plain_output() const;
};

/// All registered stage types by name.
const std::map<std::string, StageType>& stage_types();

/// All registered blocks by name.
const std::map<std::string, Block>& blocks();

/// Adds to the registries; two of one name end the program, since nobody could choose between them.
bool add_stage_type(StageType type);
bool add_block(Block block);

/// What would be in the registries.
struct Registrations {
  std::vector<StageType> stage_types;
  std::vector<Block> blocks;
};

/// Runs `load`, which must not throw, and gives what is added meanwhile; it does not get into the registries.
Registrations registrations_during(const std::function<void()>& load);

}  // namespace graph
