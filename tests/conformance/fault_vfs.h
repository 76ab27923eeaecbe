// FaultVfs: the system's SQLite VFS with a disk that fails when a test says so.
//
// Counts the writes, syncs and truncations of all files opened through it, and fails the one whose
// number was armed, and every one after it while `sticky`.
// Threads: arm() and the counters from any thread.

#ifndef STATE_ENGINE_TESTS_CONFORMANCE_FAULT_VFS_H_
#define STATE_ENGINE_TESTS_CONFORMANCE_FAULT_VFS_H_

#include <atomic>
#include <memory>
#include <string>

namespace state_engine::test {

struct FaultPlan {
  int fail_at = -1;         // number of the operation, from 0; -1 = never
  int write_code = 0;       // SQLite code for a write (a sync fails with SQLITE_IOERR_FSYNC)
  bool torn = false;        // the failing write reaches the disk by half
  bool sticky = false;      // all later operations fail, too
  bool syncs_only = false;  // count and fail syncs only
};

class FaultVfs {
 public:
  // Registers the VFS under name().
  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  // REQUIRES: no file opened through it is still open.
  ~FaultVfs();

  const std::string& name() const { return name_; }

  // Starts counting anew.
  void arm(const FaultPlan& plan);
  void disarm() { arm({}); }

  // True once an operation was failed since arm().
  bool fired() const { return fired_.load(); }

  // Called for each operation. Returns whether it must fail.
  bool next_fails(bool is_sync);
  const FaultPlan& plan() const { return plan_; }

 private:
  struct Registration;

  std::string name_;
  FaultPlan plan_;
  std::atomic<int> count_{0};
  std::atomic<bool> fired_{false};
  std::unique_ptr<Registration> registration_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_CONFORMANCE_FAULT_VFS_H_
