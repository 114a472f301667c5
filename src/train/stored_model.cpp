#include "train/stored_model.h"

#include <stdexcept>

#include "io/system_error.h"
#include "model/parameter_list.h"
#include "text/command_name.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace lighthouse::train {

namespace fs = std::filesystem;

namespace {

constexpr ConfigUse kModelOnly{.trains = false, .model_of_init = nullptr};

bool is_file(const fs::path& path) { return fs::is_regular_file(path); }

/// The folder, where the path is its model.safetensors: that has no configuration of its own.
fs::path stored_at(const fs::path& path) {
  const fs::path folder = fs::absolute(path).parent_path();
  return path.filename() == kModelName && is_file(path) && is_file(folder / kConfigName) ? folder : path;
}

/// What stands where a model was expected.
std::string describe_other(const fs::path& path) {
  const std::string expected = "expected a run's folder, a checkpoint's file, or the folder of an imported model";
  if (!fs::exists(path)) return "there is no " + path.string() + "; " + expected;
  const bool folder = fs::is_directory(path);
  const fs::path home = folder ? path : fs::absolute(path).parent_path();
  if (is_file(home / "config.json") && !is_file(home / kConfigName)) {
    return path.string() + (folder ? " is" : " belongs to") +
           " a model in Hugging Face's format. Bring it in first: " + text::command() + " import " +
           text::shell_word(home.string()) + " --out FOLDER; then name that folder";
  }
  const fs::path run = fs::absolute(folder ? path / "" : path).parent_path().parent_path();
  if (folder && fs::absolute(path / "").parent_path().filename() == kCheckpointsName && is_file(run / kConfigName)) {
    return path.string() + " holds a run's checkpoints: name one of them, or the run's folder, " + run.string();
  }
  if (!folder && is_file(home / kConfigName)) {
    return path.string() + " is no checkpoint: name the run's folder, " + home.string();
  }
  return path.string() + (folder ? " is another folder; " : " is no checkpoint; ") + expected;
}

[[noreturn]] void fail_other(const fs::path& path) {
  const fs::path missing = is_file(path) ? path : path / kConfigName;
  throw std::runtime_error("cannot read " + missing.string() + ": " + describe_other(path));
}

StoredModel from_checkpoint(const fs::path& path) {
  Checkpoint checkpoint = read_checkpoint(path);
  StoredModel stored{std::move(checkpoint.config), std::move(checkpoint.weights), path, {}, checkpoint.data, {}};
  if (checkpoint.rewritten) stored.remark = path.string() + " was written again by another program since the run. ";
  return stored;
}

/// A checkpoint's file, under any name.
StoredModel from_file(const fs::path& path) {
  try {
    return from_checkpoint(path);
  } catch (const io::SystemError&) {
    throw;
  } catch (const std::runtime_error&) {
    const fs::path home = fs::absolute(path).parent_path();
    if (path.extension() != ".safetensors" || is_file(home / "config.json")) fail_other(path);
    throw;
  }
}

StoredModel from_result(const fs::path& path, RunConfig config) {
  model::SafetensorsFile file = model::read_safetensors(path);
  const auto data = record_in(file.metadata);
  StoredModel stored{std::move(config), std::move(file.tensors), path, {}, data, {}};
  if (file.rewritten) {
    stored.remark = path.string() + " was written again by another program" +
                    (file.checksum_verified ? "; its tensors are as they were. " : ", and has no checksum any more. ");
  }
  return stored;
}

/// The result, then the checkpoints from the newest on: the first that is whole.
StoredModel from_folder(const fs::path& path) {
  const RunConfig config = read_stored_config(path);
  std::vector<fs::path> files = list_checkpoints(path / kCheckpointsName);
  if (fs::exists(path / kModelName)) files.push_back(path / kModelName);
  if (files.empty()) {
    throw std::runtime_error(path.string() + " has neither " + kModelName +
                             " nor a checkpoint: the run has written none yet");
  }
  std::string problems;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      StoredModel stored = file->filename() == kModelName ? from_result(*file, config) : from_checkpoint(*file);
      stored.config = config;
      if (!problems.empty()) stored.remark = problems + "Read instead: " + file->string() + ". " + stored.remark;
      return stored;
    } catch (const io::DamagedFile& error) {
      problems += std::string(error.what()) + ". ";
    }
  }
  throw io::DamagedFile(problems + "There is no other file of the model in " + path.string());
}

}  // namespace

RunConfig read_stored_config(const fs::path& path) {
  const fs::path place = stored_at(path);
  if (is_file(place)) return from_file(place).config;
  if (!is_file(place / kConfigName)) fail_other(place);
  return load_config(place / kConfigName, {}, kModelOnly);
}

fs::path carried_files(const fs::path& path) {
  const fs::path place = stored_at(path);
  // A checkpoint stands in RUN/checkpoints.
  const fs::path folder = is_file(place) ? fs::absolute(place).parent_path().parent_path() : place;
  const fs::path carried = folder / kCarriedFolder;
  return fs::is_directory(carried) ? carried : fs::path();
}

StoredModel read_stored_model(const fs::path& path) {
  const fs::path place = stored_at(path);
  StoredModel stored = is_file(place) ? from_file(place) : from_folder(place);
  // Before a model of that shape is made: sizes may be anything.
  model::expect_parameters(stored.weights, stored.config.model, stored.file.string());
  stored.carried = carried_files(place);
  return stored;
}

LoadedRun load_run(const fs::path& path) {
  StoredModel stored = read_stored_model(path);
  LoadedRun run{std::move(stored.config), nullptr, stored.data, std::move(stored.remark)};
  run.decoder = model::Decoder(run.config.model);
  model::load_parameters(*run.decoder, stored.weights, stored.file.string());
  return run;
}

}  // namespace lighthouse::train
