// endpoint: resolving, checking, keys.
#include "stages/wire/endpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <zmq.hpp>

#include "graph/error.h"

namespace stages {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view ipc = "ipc://", tcp = "tcp://", loopback = "tcp://127.0.0.1:";
constexpr std::size_t longest_path = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t key_length = 40;
constexpr const char *a_secret = "a secret key", *a_public = "a public key";

[[noreturn]] void refuse(const std::string& endpoint, const std::string& why) {
  throw graph::Error("endpoint '" + endpoint + "': " + why);
}

// The file of an ipc endpoint; nothing for other kinds.
std::optional<fs::path> file_of(const std::string& endpoint) {
  if (!endpoint.starts_with(ipc)) return std::nullopt;
  const auto name = endpoint.substr(ipc.size());
  fs::path file = name;
  if (name.empty() || !file.has_filename() || name[0] == '@')
    refuse(endpoint, "names no file; expected ipc://NAME or ipc://PATH");
  if (name.find('/') == std::string::npos) {
    const auto* runtime = std::getenv("XDG_RUNTIME_DIR");
    file = runtime && *runtime ? fs::path(runtime) / "worldline"
                               : fs::path("/tmp/worldline-" + std::to_string(getuid()));
    file /= name;
  }
  if (file.string().size() > longest_path)
    refuse(endpoint, fmt::format("the path has {} bytes, and a socket's has {} at most; choose a shorter one",
                                 file.string().size(), longest_path));
  return file;
}

void check_form(const std::string& endpoint) {
  if (!endpoint.starts_with(ipc) && !endpoint.starts_with(tcp))
    refuse(endpoint, "expected ipc://NAME, ipc://PATH or tcp://127.0.0.1:PORT");
}

// ZeroMQ knows more forms than this one, and some of them lead elsewhere.
bool is_loopback(const std::string& endpoint) {
  if (!endpoint.starts_with(loopback)) return false;
  const auto port = endpoint.substr(loopback.size());
  return !port.empty() && port.size() <= 5 &&
         std::ranges::all_of(port, [](unsigned char c) { return std::isdigit(c); });
}

bool somebody_listens(const fs::path& file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  file.string().copy(address.sun_path, longest_path);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const bool answered =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return answered;
}

bool is_named(const std::string& endpoint) {
  return endpoint.starts_with(ipc) && endpoint.find('/', ipc.size()) == std::string::npos;
}

// Throws when somebody else could put another socket into its place.
void check_folder(const std::string& endpoint, const fs::path& folder) {
  struct stat status {};
  // A link where our own folder should be was laid by somebody else.
  const int found = is_named(endpoint) ? ::lstat(folder.c_str(), &status) : ::stat(folder.c_str(), &status);
  if (found != 0 || !S_ISDIR(status.st_mode)) refuse(endpoint, folder.generic_string() + " is no folder");
  if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    refuse(endpoint, "its folder " + folder.generic_string() +
                         " is another user's, or others may write to it; choose one of your own");
}

void make_folder(const std::string& endpoint, const fs::path& folder) {
  std::error_code code;
  if (!fs::exists(folder, code)) {
    fs::create_directories(folder.parent_path().empty() ? "." : folder.parent_path(), code);
    if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST)
      refuse(endpoint, "cannot make the folder " + folder.generic_string() + ": " + std::strerror(errno));
  }
  check_folder(endpoint, folder);
}

std::string read_key(const std::string& file, const char* what) {
  struct stat status {};
  if (what == a_secret && ::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    throw graph::Error(file + ": others may read this secret key; `chmod 600` it");
  std::ifstream stream(file);
  std::string key;
  if (!std::getline(stream, key)) throw graph::Error(file + ": cannot be read; expected " + what);
  while (!key.empty() && std::isspace(static_cast<unsigned char>(key.back()))) key.pop_back();
  std::array<std::uint8_t, 32> binary{};
  if (key.size() != key_length || !zmq_z85_decode(binary.data(), key.c_str()))
    throw graph::Error(file + ": no key; expected " + what + " of 40 characters, as `./run keys` makes them");
  return key;
}

std::string public_of(const std::string& secret) {
  std::array<char, key_length + 1> text{};
  if (zmq_curve_public(text.data(), secret.c_str()) != 0)
    throw graph::Error("this ZeroMQ was built without CURVE, so keys cannot be used");
  return text.data();
}

void write_key(const fs::path& file, const std::string& key, mode_t mode) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0)
    throw graph::Error(
        file.generic_string() + ": " +
        (errno == EEXIST ? "exists; choose another folder, or remove it" : std::strerror(errno)));
  const auto line = key + "\n";
  const bool written = ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (::close(descriptor) != 0 || !written) throw graph::Error(file.generic_string() + ": cannot be written");
}

}  // namespace

std::string to_bind(const std::string& endpoint, bool has_keys) {
  check_form(endpoint);
  const auto file = file_of(endpoint);
  if (!file) {
    if (!has_keys && !is_loopback(endpoint))
      refuse(endpoint,
             "others could come there; take tcp://127.0.0.1:PORT, or `key` and `clients` (see `./run keys "
             "--help`)");
    return endpoint;
  }
  make_folder(endpoint, file->has_parent_path() ? file->parent_path() : fs::path("."));
  if (somebody_listens(*file))
    refuse(endpoint,
           "another process is there; end it, or take other names: "
           "--set endpoint=ipc://NAME --set control.endpoint=ipc://NAME.control");
  std::error_code code;
  if (fs::exists(*file, code) && !fs::is_socket(*file, code))
    refuse(endpoint, file->generic_string() + " is there already and is no socket");
  return std::string(ipc) + file->string();
}

void make_private(const std::string& address) {
  if (!address.starts_with(ipc)) return;
  if (::chmod(address.c_str() + ipc.size(), S_IRUSR | S_IWUSR) != 0)
    refuse(address, std::string("cannot be made private: ") + std::strerror(errno));
}

std::string to_connect(const std::string& endpoint) {
  check_form(endpoint);
  const auto file = file_of(endpoint);
  if (!file) return endpoint;
  // Where nobody is yet, somebody else could make the folder while we wait.
  if (is_named(endpoint)) make_folder(endpoint, file->parent_path());
  return std::string(ipc) + file->string();
}

void use_keys(zmq::socket_t& socket, const BindKeys& keys) {
  if (keys.key.empty()) return;
  const auto secret = read_key(keys.key, a_secret);
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, secret);
}

void use_keys(zmq::socket_t& socket, const ConnectKeys& keys) {
  if (keys.key.empty() != keys.server.empty())
    throw graph::Error("keys come together: one's own secret and the server's public key");
  if (keys.key.empty()) return;
  const auto secret = read_key(keys.key, a_secret);
  socket.set(zmq::sockopt::curve_serverkey, read_key(keys.server, a_public));
  socket.set(zmq::sockopt::curve_publickey, public_of(secret));
  socket.set(zmq::sockopt::curve_secretkey, secret);
}

std::set<std::string> allowed_clients(const BindKeys& keys) {
  if (keys.clients.empty())
    throw graph::Error("'key' needs 'clients', a file with the public keys of who may come");
  std::ifstream file(keys.clients);
  if (!file) throw graph::Error(keys.clients + ": cannot be read; expected public keys, one a line");
  std::set<std::string> allowed;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    // Z85 has a '#', so only what begins a line is a comment.
    if (line.starts_with("# ") || line == "#") continue;
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty()) continue;
    std::array<std::uint8_t, 32> binary{};
    if (line.size() != key_length || !zmq_z85_decode(binary.data(), line.c_str()))
      throw graph::Error(fmt::format("{}:{}: no public key of 40 characters", keys.clients, number));
    allowed.insert(line);
  }
  return allowed;
}

void make_keys(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) throw graph::Error("cannot make the folder " + folder.generic_string() + ": " + code.message());
  for (const auto* name : {"key.secret", "key.public"})
    if (fs::exists(folder / name, code))
      throw graph::Error((folder / name).generic_string() + " exists; choose another folder, or remove it");
  std::array<char, key_length + 1> open{}, secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0)
    throw graph::Error("this ZeroMQ was built without CURVE, so keys cannot be made");
  write_key(folder / "key.secret", secret.data(), S_IRUSR | S_IWUSR);
  write_key(folder / "key.public", open.data(), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
}

}  // namespace stages
