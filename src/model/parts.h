// What a training step consists of, for whoever times it: scopes around its parts, which cost nothing unwatched.
#pragma once

namespace lighthouse::model {

/// What a part must at least do.
struct PartWork {
  double flops = 0;
  double bytes = 0;
};

/// Is told of parts as they are begun and ended, on the thread and stream that run them.
class PartObserver {
 public:
  virtual ~PartObserver() = default;
  /// `name` lives as long as the program.
  virtual void begin(const char* name, const PartWork& work) = 0;
  virtual void end() = 0;
};

/// The observer of this process; null: none. Backward passes run on another thread, so there is one for all.
inline PartObserver* part_observer = nullptr;

class PartScope {
 public:
  PartScope(const char* name, const PartWork& work) : observer_(part_observer) {
    if (observer_ != nullptr) observer_->begin(name, work);
  }
  ~PartScope() {
    if (observer_ != nullptr) observer_->end();
  }
  PartScope(const PartScope&) = delete;
  PartScope& operator=(const PartScope&) = delete;

 private:
  PartObserver* observer_;
};

}  // namespace lighthouse::model
