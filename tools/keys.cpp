// keys: makes a pair of keys, with which a pipeline may be reached from other machines.
#include <cstdio>
#include <memory>

#include "stages/wire/endpoint.h"
#include "tools/request.h"
#include "tools/verbs.h"

namespace tools {

void add_keys(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("keys", "make a pair of keys, for taps and control on other addresses");
  command->footer(
      "A server takes its secret and the public keys of who may come, one a line:\n"
      "  ./run pipelines/serve.yaml --set endpoint=tcp://0.0.0.0:7000 --set "
      "control.endpoint=tcp://0.0.0.0:7001 \\\n"
      "      --set key=SERVER/key.secret --set clients=FILE …\n"
      "A client takes its own secret and the server's public key:\n"
      "  ./run watch tcp://HOST:7000 --key MINE/key.secret --server key.public");
  auto folder = std::make_shared<std::string>();
  command->add_option("folder", *folder, "where key.secret and key.public go")->required()->check(not_empty);
  command->callback([folder, &chosen] {
    chosen = [folder] {
      stages::make_keys(*folder);
      std::printf("%s/key.secret   keep it to yourself\n%s/key.public   give it to the others\n",
                  folder->c_str(), folder->c_str());
      return 0;
    };
  });
}

}  // namespace tools
