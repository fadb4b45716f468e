// endpoint: where sockets are, and who may come there.
//
//   ipc://NAME             $XDG_RUNTIME_DIR/worldline/NAME, or /tmp/worldline-UID/NAME: NAME has no slash
//   ipc://PATH             a socket file; its folder must be one that nobody else may write to
//   tcp://127.0.0.1:PORT   port 0: any free one
//
// Any other address is bound only with keys. Keys are CURVE's (curvezmq.org), 40 characters of Z85 in a file each.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace zmq {
class socket_t;
}

namespace stages {

/// Of a socket that others connect to; files. Empty: no keys.
struct BindKeys {
  std::string key;      // its secret
  std::string clients;  // public keys of those who may come, one a line; "# " begins a comment
};

/// Of a socket that connects; files. Empty: no keys.
struct ConnectKeys {
  std::string key;     // its secret
  std::string server;  // the other's public key
};

/// What ZeroMQ is to bind, after making the folder of an ipc file where it is missing. Throws graph::Error when
/// strangers could come there, when somebody else is there, or when it is no endpoint.
std::string to_bind(const std::string& endpoint, bool has_keys);

/// Of a bound ipc socket: nobody else may open it. Throws graph::Error.
void make_private(const std::string& address);

/// What ZeroMQ is to connect to, after making the folder of ipc://NAME where it is missing. Throws graph::Error when
/// strangers could be there, or when it is no endpoint.
std::string to_connect(const std::string& endpoint);

/// Sets the keys of a socket before it binds or connects. Throws graph::Error with the file's name.
void use_keys(zmq::socket_t& socket, const BindKeys& keys);
void use_keys(zmq::socket_t& socket, const ConnectKeys& keys);

/// The keys of a `clients` file. Throws graph::Error.
std::set<std::string> allowed_clients(const BindKeys& keys);

/// Makes FOLDER/key.secret, which only its owner may read, and FOLDER/key.public. Throws graph::Error when one of them
/// exists.
void make_keys(const std::filesystem::path& folder);

}  // namespace stages
