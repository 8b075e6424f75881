// Makes the results a caller will probably ask for next, on one background thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace altprop::data {

template <class Item>
class Prefetcher {
 public:
  using Key = std::pair<int64_t, int64_t>;  // epoch, index

  /// @param make called from the background thread and from callers of get, possibly at once
  /// @param per_epoch number of indices of an epoch; after the last comes (epoch + 1, 0)
  /// @param ahead number of items to have ready, at least 1
  Prefetcher(std::function<Item(Key)> make, int64_t per_epoch, int64_t ahead)
      : make_(std::move(make)), per_epoch_(per_epoch), ahead_(ahead), thread_([this] { work(); }) {}

  /// Finishes the item in work, drops the rest.
  ~Prefetcher() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// make(key), from stock if it was foreseen. Rethrows what make threw for this key.
  Item get(Key key) {
    std::unique_lock lock(mutex_);
    plan_after(key);
    changed_.notify_all();
    // Another caller may take or drop the result meanwhile: then it is simply made again.
    changed_.wait(lock, [&] { return in_work_ != key; });
    const auto found = ready_.find(key);
    if (found == ready_.end()) {
      lock.unlock();
      return make_(key);
    }
    Result result = std::move(found->second);
    ready_.erase(found);
    if (result.error) std::rethrow_exception(result.error);
    return std::move(result.item);
  }

 private:
  struct Result {
    Item item{};
    std::exception_ptr error;
  };

  /// Queues the items that follow `key` and forgets those that are not among them.
  void plan_after(Key key) {
    std::map<Key, Result> kept;
    if (auto own = ready_.extract(key)) kept.insert(std::move(own));
    queue_.clear();
    Key next = key;
    for (int64_t i = 0; i < ahead_; ++i) {
      next =
          next.second + 1 < per_epoch_ ? Key{next.first, next.second + 1} : Key{next.first + 1, 0};
      if (auto own = ready_.extract(next))
        kept.insert(std::move(own));
      else if (in_work_ != next)
        queue_.push_back(next);
    }
    ready_ = std::move(kept);
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      in_work_ = queue_.front();
      queue_.pop_front();
      const Key key = in_work_;
      lock.unlock();
      Result result;
      try {
        result.item = make_(key);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      ready_[key] = std::move(result);
      in_work_ = kNone;
      changed_.notify_all();
    }
  }

  static constexpr Key kNone{-1, -1};

  const std::function<Item(Key)> make_;
  const int64_t per_epoch_, ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Key> queue_;
  std::map<Key, Result> ready_;
  Key in_work_ = kNone;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace altprop::data
