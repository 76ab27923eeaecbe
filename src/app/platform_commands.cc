// Options live as long as the callbacks that hold them, so that main() need not know them.

#include "app/platform_commands.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "app/migrate.h"
#include "app/provision_firestore.h"

namespace state_engine {
namespace {

void add_migrate(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<MigrateOptions>();
  CLI::App* command = app.add_subcommand("migrate", "Copy state and log from one store to another");
  command->footer(
      "A store is sqlite:DIR or firestore:PROJECT[/DATABASE]. Stop the engines of both first. A\n"
      "copy that was interrupted goes on where it stopped; at the end both sides are compared.\n"
      "Exit code 7 if they differ.\n"
      "\nExamples:\n"
      "  state-engine migrate --from sqlite:./state --to firestore:my-project\n"
      "  state-engine migrate --from firestore:my-project --to sqlite:./state");
  command->add_option("--from", options->from, "sqlite:DIR or firestore:PROJECT[/DATABASE]")
      ->required();
  command->add_option("--to", options->to, "The same; empty, or a copy to go on with")->required();
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->callback([options, &exit_code] { exit_code = migrate_command(*options); });
}

void add_provision(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<ProvisionFirestoreOptions>();
  options->settings = firestore_settings_from_environment();
  CLI::App* command =
      provision_command(app)->add_subcommand("firestore", "Check a database, write its indexes");
  command->footer(
      "Prints what it would do; --apply does it: checks that the database can be read and written\n"
      "(one small document) and writes firestore.indexes.json, which exempts large fields\n"
      "from indexing. Collections need no creation: Firestore makes them with their first "
      "document.\n"
      "\nExample:\n  state-engine provision firestore --project my-project --apply");
  command->add_option("--project", options->settings.project, "GOOGLE_CLOUD_PROJECT");
  command->add_option("--database", options->settings.database)->capture_default_str();
  command->add_option("--indexes", options->indexes_file, "Where the index file goes")
      ->capture_default_str();
  command->add_flag("--apply", options->apply, "Do it instead of only saying it");
  command->callback([options, &exit_code] { exit_code = provision_firestore(*options); });
}

}  // namespace

CLI::App* provision_command(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    if (command->get_name() == "provision") return command;
  }
  CLI::App* command = app.add_subcommand("provision", "Prepare what the engine stands on");
  command->require_subcommand(1);
  return command;
}

void add_platform_commands(CLI::App& app, int& exit_code) {
  add_migrate(app, exit_code);
  add_provision(app, exit_code);
}

}  // namespace state_engine
