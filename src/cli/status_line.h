// One line of standard error that says what goes on: rewritten in place on a terminal, every few seconds elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace lighthouse::cli {

class StatusLine {
 public:
  StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  ~StatusLine() { finish(); }

  bool on_terminal() const { return terminal_; }
  /// Whether it is time to show something again.
  bool is_due() const;
  /// What goes on now. On a terminal it is cut to one row and stays open.
  void show(const std::string& text);
  /// A line that stays, in place of the open one.
  void print(const std::string& text);
  /// Ends an open line.
  void finish();

 private:
  bool terminal_;
  bool open_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace lighthouse::cli
