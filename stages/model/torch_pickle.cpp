// torch_pickle: the tensors in a file that Python's torch.save wrote.
#include "stages/model/torch_pickle.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace model {
namespace {

// How files of torch before 1.6 begin: a pickled magic number.
constexpr std::string_view old_form = "\x80\x02\x8a\x0a";

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

// Little-endian numbers out of bytes, never past their end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("cut off");
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  std::string line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("cut off");
    const std::string text(take(end - at_));
    at_ += 1;
    return text;
  }
  void seek(std::uint64_t to) {
    if (to > bytes_.size()) fail("cut off");
    at_ = to;
  }

 private:
  std::string_view bytes_;
  std::uint64_t at_ = 0;
};

// The members of an uncompressed zip by name, as views into its bytes.
std::map<std::string, std::string_view> unzip(std::string_view bytes) {
  constexpr std::string_view end_mark = "PK\5\6", end64_mark = "PK\6\6", end64_locator_mark = "PK\6\7",
                             directory_mark = "PK\1\2", member_mark = "PK\3\4";
  const std::size_t end = bytes.rfind(end_mark);
  if (end == std::string_view::npos) fail("no zip, expected a file that torch.save wrote (or it is cut off)");
  Reader reader(bytes);
  reader.seek(end + 10);
  std::uint64_t count = reader.number<std::uint16_t>();
  reader.number<std::uint32_t>();
  std::uint64_t directory = reader.number<std::uint32_t>();
  if (end >= 20 && bytes.substr(end - 20, 4) == end64_locator_mark) {
    reader.seek(end - 12);
    const auto end64 = reader.number<std::uint64_t>();
    reader.seek(end64);
    if (reader.take(4) != end64_mark) fail("a broken zip");
    reader.seek(end64 + 32);
    count = reader.number<std::uint64_t>();
    reader.number<std::uint64_t>();
    directory = reader.number<std::uint64_t>();
  }

  std::map<std::string, std::string_view> members;
  reader.seek(directory);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (reader.take(4) != directory_mark) fail("a broken zip");
    reader.take(6);
    const auto method = reader.number<std::uint16_t>();
    reader.take(8);
    std::uint64_t size = reader.number<std::uint32_t>(), full_size = reader.number<std::uint32_t>();
    const auto name_bytes = reader.number<std::uint16_t>(), extra_bytes = reader.number<std::uint16_t>(),
               comment_bytes = reader.number<std::uint16_t>();
    reader.take(8);
    std::uint64_t begin = reader.number<std::uint32_t>();
    const std::string name(reader.take(name_bytes));
    Reader extra(reader.take(extra_bytes));
    for (std::uint64_t left = extra_bytes; left >= 4;) {
      const auto id = extra.number<std::uint16_t>(), length = extra.number<std::uint16_t>();
      Reader field(extra.take(length));
      if (id == 1) {  // zip64: the numbers that did not fit, in this order
        for (std::uint64_t* value : {&full_size, &size, &begin}) {
          if (*value == 0xffffffff) *value = field.number<std::uint64_t>();
        }
      }
      left -= 4u + length;
    }
    reader.take(comment_bytes);
    if (method != 0) fail("'" + name + "' is compressed, expected a file that torch.save wrote");

    Reader member(bytes);
    member.seek(begin);
    if (member.take(4) != member_mark) fail("a broken zip");
    member.take(22);
    const auto local_name_bytes = member.number<std::uint16_t>(),
               local_extra_bytes = member.number<std::uint16_t>();
    member.take(std::uint64_t{local_name_bytes} + local_extra_bytes);
    members[name] = member.take(size);
  }
  return members;
}

struct Value;
using Ref = Value*;

// A tensor as the pickle describes it; its numbers stay in the file until somebody wants them.
struct StoredTensor {
  at::ScalarType type = at::kFloat;
  std::string_view bytes;  // of its storage
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes, strides;
};

struct Storage {
  at::ScalarType type = at::kFloat;
  std::string_view bytes;
};

// What a pickle is made of. Only the field of its kind is in use.
struct Value {
  enum class Kind { opaque, mark, number, text, global, sequence, dict, storage, tensor };
  Kind kind = Kind::opaque;
  std::int64_t number = 0;
  std::string text;        // a text, or a global as "module name"
  std::vector<Ref> items;  // of a sequence; of a dict key, value, key, value …
  Storage storage;
  StoredTensor tensor;
};
using Kind = Value::Kind;

const Value& expect(Ref value, Kind kind) {
  if (value->kind != kind) fail("a broken or foreign pickle");
  return *value;
}

class Unpickler {
 public:
  explicit Unpickler(const std::map<std::string, std::string_view>& members) : members_(members) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [](const auto& member) { return member.first.ends_with("/data.pkl"); });
    if (found == members.end()) fail("no data.pkl in it, expected a file that torch.save wrote");
    folder_ = found->first.substr(0, found->first.size() - std::strlen("data.pkl"));
    pickle_ = found->second;
    // A tensor takes some 200 bytes.
    if (pickle_.size() > 2'000'000) fail("its data.pkl is too long, expected a file that torch.save wrote");
  }

  Ref load() {
    Reader in(pickle_);
    while (true) {
      const auto opcode = in.number<std::uint8_t>();
      // clang-format off
      switch (opcode) {
        case 0x80: in.take(1); break;                                            // PROTO
        case 0x95: in.take(8); break;                                            // FRAME
        case '.': return pop();                                                  // STOP
        case '(': push(Kind::mark); break;                                       // MARK
        case '0': pop(); break;                                                  // POP
        case '1': pop_to_mark(); break;                                          // POP_MARK
        case '2': stack_.push_back(top()); break;                                // DUP
        case 'N': push(Kind::opaque); break;                                     // NONE
        case 0x88: push_number(1); break;                                        // NEWTRUE
        case 0x89: push_number(0); break;                                        // NEWFALSE
        case 'J': push_number(in.number<std::int32_t>()); break;                 // BININT
        case 'K': push_number(in.number<std::uint8_t>()); break;                 // BININT1
        case 'M': push_number(in.number<std::uint16_t>()); break;                // BININT2
        case 0x8a: push_long(in.take(in.number<std::uint8_t>())); break;         // LONG1
        case 'G': push_opaque(in.take(8)); break;                                // BINFLOAT
        case 'X': push_text(in.take(in.number<std::uint32_t>())); break;         // BINUNICODE
        case 0x8c: push_text(in.take(in.number<std::uint8_t>())); break;         // SHORT_BINUNICODE
        case 0x8d: push_text(in.take(in.number<std::uint64_t>())); break;        // BINUNICODE8
        case 'U':                                                                // SHORT_BINSTRING
        case 'C': push_opaque(in.take(in.number<std::uint8_t>())); break;        // SHORT_BINBYTES
        case 'T':                                                                // BINSTRING
        case 'B': push_opaque(in.take(in.number<std::uint32_t>())); break;       // BINBYTES
        case '}': push(Kind::dict); break;                                       // EMPTY_DICT
        case 0x8f: push(Kind::opaque); break;                                    // EMPTY_SET
        case ']':                                                                // EMPTY_LIST
        case ')': push(Kind::sequence); break;                                   // EMPTY_TUPLE
        case 'd': push_filled(Kind::dict, pop_to_mark()); break;                 // DICT
        case 'l':                                                                // LIST
        case 't': push_filled(Kind::sequence, pop_to_mark()); break;             // TUPLE
        case 0x85: push_filled(Kind::sequence, pop(1)); break;                   // TUPLE1
        case 0x86: push_filled(Kind::sequence, pop(2)); break;                   // TUPLE2
        case 0x87: push_filled(Kind::sequence, pop(3)); break;                   // TUPLE3
        case 's': fill_top(pop(2)); break;                                       // SETITEM
        case 'a': fill_top(pop(1)); break;                                       // APPEND
        case 'u':                                                                // SETITEMS
        case 'e':                                                                // APPENDS
        case 0x90: fill_top(pop_to_mark()); break;                               // ADDITEMS
        case 'q': remember(in.number<std::uint8_t>()); break;                    // BINPUT
        case 'r': remember(in.number<std::uint32_t>()); break;                   // LONG_BINPUT
        case 0x94: remember(memo_.size()); break;                                // MEMOIZE
        case 'h': recall(in.number<std::uint8_t>()); break;                      // BINGET
        case 'j': recall(in.number<std::uint32_t>()); break;                     // LONG_BINGET
        case 'c': push_global(in.line(), in); break;                             // GLOBAL
        case 0x93: push_global(pop(2)); break;                                   // STACK_GLOBAL
        case 'Q': push_storage(expect(pop(), Kind::sequence)); break;            // BINPERSID
        case 'R': call(pop(2)); break;                                           // REDUCE
        case 0x81: pop(2); push(Kind::opaque); break;                            // NEWOBJ
        case 0x92: pop(3); push(Kind::opaque); break;                            // NEWOBJ_EX
        case 'b': pop(); break;                                                  // BUILD
        default: fail("a pickle with opcode " + std::to_string(opcode) + ", which torch.save does not write");
      }
      // clang-format on
    }
  }

 private:
  Ref push(Kind kind) {
    check_count(values_.size());
    // In a deque that outlives them all, so that no nesting, however deep, makes a destructor recurse.
    Value& value = values_.emplace_back();
    value.kind = kind;
    stack_.push_back(&value);
    return &value;
  }
  void push_number(std::int64_t number) { push(Kind::number)->number = number; }
  void push_text(std::string_view text) { push(Kind::text)->text = text; }
  void push_opaque(std::string_view) { push(Kind::opaque); }
  void push_filled(Kind kind, const std::vector<Ref>& items) {
    push(kind);
    fill_top(items);
  }
  void push_global(const std::string& module, const std::string& name) {
    push(Kind::global)->text = module + " " + name;
  }
  void push_global(const std::string& module, Reader& name) { push_global(module, name.line()); }
  void push_global(const std::vector<Ref>& module_and_name) {
    push_global(expect(module_and_name[0], Kind::text).text, expect(module_and_name[1], Kind::text).text);
  }
  void push_long(std::string_view bytes) {
    if (bytes.size() > 8) {
      push(Kind::opaque);
      return;
    }
    std::int64_t number = !bytes.empty() && (bytes.back() & 0x80) ? -1 : 0;
    std::memcpy(&number, bytes.data(), bytes.size());
    push_number(number);
  }

  Ref top() {
    if (stack_.empty()) fail("a broken pickle");
    return stack_.back();
  }
  Ref pop() {
    Ref value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<Ref> pop(std::size_t count) {
    if (stack_.size() < count) fail("a broken pickle");
    std::vector<Ref> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<Ref> pop_to_mark() {
    const auto mark =
        std::find_if(stack_.rbegin(), stack_.rend(), [](Ref v) { return v->kind == Kind::mark; });
    if (mark == stack_.rend()) fail("a broken pickle");
    std::vector<Ref> items = pop(static_cast<std::size_t>(mark - stack_.rbegin()));
    stack_.pop_back();
    return items;
  }
  // A byte of a pickle may make an object of some hundred.
  static void check_count(std::size_t objects) {
    if (objects == 100'000) fail("more objects than weights have, expected a file that torch.save wrote");
  }
  void remember(std::uint64_t key) {
    check_count(memo_.size());
    memo_[key] = top();
  }
  void recall(std::uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("a broken pickle");
    stack_.push_back(found->second);
  }

  // Adds to the dict or list that is now on top; other objects have no content here.
  void fill_top(const std::vector<Ref>& items) {
    Ref container = top();
    if (container->kind == Kind::dict && items.size() % 2 != 0) fail("a broken pickle");
    if (container->kind == Kind::dict || container->kind == Kind::sequence) {
      container->items.insert(container->items.end(), items.begin(), items.end());
    }
  }

  void push_storage(const Value& id) {
    // ('storage', torch.FloatStorage, key, location, count)
    static const std::map<std::string, at::ScalarType> types = {
        {"torch FloatStorage", at::kFloat},       {"torch DoubleStorage", at::kDouble},
        {"torch HalfStorage", at::kHalf},         {"torch LongStorage", at::kLong},
        {"torch BFloat16Storage", at::kBFloat16}, {"torch BoolStorage", at::kBool},
        {"torch IntStorage", at::kInt},           {"torch ByteStorage", at::kByte},
    };
    if (id.items.size() < 3) fail("a broken pickle");
    const auto type = types.find(expect(id.items[1], Kind::global).text);
    const auto member = members_.find(folder_ + "data/" + expect(id.items[2], Kind::text).text);
    if (member == members_.end()) fail("the numbers of a tensor are missing");
    Ref value = push(type == types.end() ? Kind::opaque : Kind::storage);
    if (type != types.end()) value->storage = {type->second, member->second};
  }

  void call(const std::vector<Ref>& function_and_arguments) {
    const std::string& function = function_and_arguments[0]->text;
    if (function == "collections OrderedDict") {
      push(Kind::dict);
    } else if (function == "torch._utils _rebuild_parameter") {
      const Value& arguments = expect(function_and_arguments[1], Kind::sequence);
      if (arguments.items.empty()) fail("a broken pickle");
      stack_.push_back(arguments.items[0]);
    } else if (function == "torch._utils _rebuild_tensor_v2") {
      rebuild_tensor(expect(function_and_arguments[1], Kind::sequence));
    } else {
      push(Kind::opaque);
    }
  }

  void rebuild_tensor(const Value& arguments) {
    // (storage, offset, sizes, strides, …)
    if (arguments.items.size() < 4) fail("a broken pickle");
    if (arguments.items[0]->kind == Kind::opaque) {
      push(Kind::opaque);
      return;
    }
    const Storage& storage = expect(arguments.items[0], Kind::storage).storage;
    StoredTensor tensor{storage.type, storage.bytes, expect(arguments.items[1], Kind::number).number, {}, {}};
    for (Ref size : expect(arguments.items[2], Kind::sequence).items) {
      tensor.sizes.push_back(expect(size, Kind::number).number);
    }
    for (Ref stride : expect(arguments.items[3], Kind::sequence).items) {
      tensor.strides.push_back(expect(stride, Kind::number).number);
    }
    const auto held = static_cast<std::int64_t>(storage.bytes.size() / c10::elementSize(storage.type));
    // More numbers than the storage holds would be a repetition: weights are none, and it may be endless.
    std::int64_t count = 1, last = tensor.offset;
    bool fits = tensor.offset >= 0 && tensor.offset <= held && tensor.strides.size() == tensor.sizes.size();
    for (std::size_t i = 0; fits && i < tensor.sizes.size(); ++i) {
      const std::int64_t size = tensor.sizes[i], stride = tensor.strides[i];
      std::int64_t reach = 0;
      fits = size >= 0 && stride >= 0 && !__builtin_mul_overflow(count, size, &count) && count <= held &&
             !__builtin_mul_overflow(std::max<std::int64_t>(size - 1, 0), stride, &reach) && reach < held &&
             !__builtin_add_overflow(last, reach, &last);
    }
    if (!fits || (count > 0 && last >= held)) fail("a tensor reaches beyond its storage");
    push(Kind::tensor)->tensor = std::move(tensor);
  }

  const std::map<std::string, std::string_view>& members_;
  std::string folder_;
  std::string_view pickle_;
  std::deque<Value> values_;
  std::vector<Ref> stack_;
  std::map<std::uint64_t, Ref> memo_;
};

Ref entry(Ref dict, std::string_view key) {
  for (std::size_t i = 0; dict->kind == Kind::dict && i + 1 < dict->items.size(); i += 2) {
    if (dict->items[i]->kind == Kind::text && dict->items[i]->text == key) return dict->items[i + 1];
  }
  return nullptr;
}

// The storages of a file as tensors, each made once, so that tensors that share one share it here too.
class Storages {
 public:
  explicit Storages(std::size_t file_bytes) : left_(file_bytes) {}

  at::Tensor view(const StoredTensor& stored) {
    at::Tensor& storage = storages_[{stored.bytes.data(), stored.type}];
    if (!storage.defined()) {
      // Members of a zip may overlap, and one may be read as several types.
      if (stored.bytes.size() > left_) fail("its tensors hold more than the file");
      left_ -= stored.bytes.size();
      storage = at::empty({static_cast<std::int64_t>(stored.bytes.size() / c10::elementSize(stored.type))},
                          stored.type);
      std::copy_n(stored.bytes.data(), storage.nbytes(), static_cast<char*>(storage.data_ptr()));
    }
    return storage.as_strided(stored.sizes, stored.strides, stored.offset);
  }

 private:
  std::map<std::pair<const char*, at::ScalarType>, at::Tensor> storages_;
  std::size_t left_;
};

Parameters read_state(std::string_view bytes) {
  constexpr std::string_view compiled_prefix = "_orig_mod.";
  const std::map<std::string, std::string_view> members = unzip(bytes);
  Unpickler unpickler(members);
  Ref state = unpickler.load();
  if (Ref inner = entry(state, "model"); inner && inner->kind == Kind::dict) state = inner;
  if (state->kind != Kind::dict) fail("no state dict in it, expected names and tensors");

  Parameters found;
  std::set<std::string> seen;
  Storages storages(bytes.size());
  for (std::size_t i = 0; i + 1 < state->items.size(); i += 2) {
    if (state->items[i]->kind != Kind::text || state->items[i + 1]->kind != Kind::tensor) continue;
    std::string name = state->items[i]->text;
    if (name.starts_with(compiled_prefix)) name.erase(0, compiled_prefix.size());
    if (seen.insert(name).second) found.add(name, storages.view(state->items[i + 1]->tensor));
  }
  if (found.empty()) fail("no state dict in it, expected names and tensors");
  return found;
}

}  // namespace

bool is_python(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return false;
  std::array<char, 4> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  const std::string_view head(start.data(), start.size());
  return head == "PK\3\4" || head == old_form;
}

Parameters read_python(const std::filesystem::path& path) {
  // Of what is no file, a pipe would keep the reader waiting.
  std::ifstream stream;
  if (std::filesystem::is_regular_file(path)) stream.open(path, std::ios::binary);
  if (!stream.is_open()) fail(path.string() + ": cannot open");
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  try {
    if (bytes.starts_with(old_form))
      fail(
          "in the form of torch before 1.6, expected a zip; in Python, torch.save(torch.load(FILE), FILE) "
          "makes one");
    return read_state(bytes);
  } catch (const std::runtime_error& error) {
    fail(path.string() + ": " + error.what());
  }
}

}  // namespace model
