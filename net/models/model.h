// One classic model: who accepts, and who serves what was accepted.
#ifndef QUINTET_NET_MODELS_MODEL_H_
#define QUINTET_NET_MODELS_MODEL_H_

#include <memory>

#include "absl/status/status.h"
#include "net/models/model_core.h"

namespace quintet {

class Model {
 public:
  virtual ~Model() = default;

  // ModelServer::Run(): returns when the core's schedule has come to the drain and nobody serves
  // any more.
  virtual absl::Status Run() = 0;
};

// `core` must outlive the model.
std::unique_ptr<Model> CreateIterativeModel(ModelCore& core);
std::unique_ptr<Model> CreateForkModel(ModelCore& core);
std::unique_ptr<Model> CreateThreadModel(ModelCore& core);
std::unique_ptr<Model> CreatePreforkModel(ModelCore& core);

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_MODEL_H_
