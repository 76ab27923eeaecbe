// The least that a consumer with a memory does: what a durable drain costs without an engine.
//
//   bench_storing_consumer URL DELIVER_SUBJECT QUEUE COUNT FILE
//
// Takes COUNT proposals of a push consumer, writes each to SQLite (its state by key, and a log
// whose ids are unique and which has an index by key; WAL, synchronous=FULL) with all that came
// meanwhile in one transaction, and acknowledges them when that is on the disk. It parses no JSON
// (id and key are cut out of the text), and knows no policy, versions, hashes, results or changes.

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nats/nats.h>
#include <sqlite3.h>

namespace {

[[noreturn]] void die(const char* what, const char* why) {
  std::fprintf(stderr, "bench_storing_consumer: %s: %s\n", what, why);
  std::exit(1);
}

void check(natsStatus status, const char* what) {
  if (status != NATS_OK) die(what, natsStatus_GetText(status));
}

struct MessageDeleter {
  void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
};
using Message = std::unique_ptr<natsMsg, MessageDeleter>;

std::string_view text_of(const Message& message) {
  return {natsMsg_GetData(message.get()),
          static_cast<std::size_t>(natsMsg_GetDataLength(message.get()))};
}

// The text of the first member `name` ("\"id\":\"") up to the next quote.
std::string_view cut(std::string_view text, std::string_view name) {
  const std::size_t found = text.find(name);
  if (found == std::string_view::npos) die("a proposal", "without id or key");
  text.remove_prefix(found + name.size());
  return text.substr(0, text.find('"'));
}

// What came and is not written yet.
class Inbox {
 public:
  void put(Message message) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(message));
    if (waiting_.size() == 1) came_.notify_one();
  }
  std::vector<Message> take_all() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !waiting_.empty(); });
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<Message> waiting_;
};

void on_message(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  static_cast<Inbox*>(closure)->put(Message(message));
}

class Store {
 public:
  explicit Store(const char* path) {
    if (sqlite3_open(path, &database_) != SQLITE_OK) fail("open");
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE state(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE log(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL,"
        " proposal TEXT NOT NULL);"
        "CREATE INDEX log_by_key ON log(key);");
    prepare("INSERT OR REPLACE INTO state VALUES(?1, ?2)", set_);
    prepare("INSERT OR IGNORE INTO log(id, key, proposal) VALUES(?1, ?2, ?3)", append_);
  }
  ~Store() {
    sqlite3_finalize(set_);
    sqlite3_finalize(append_);
    sqlite3_close(database_);
  }

  void write(const std::vector<Message>& messages) {
    run("BEGIN IMMEDIATE");
    for (const Message& message : messages) {
      const std::string_view text = text_of(message);
      const std::string_view key = cut(text, R"("key":")");
      step(append_, {cut(text, R"("id":")"), key, text});
      step(set_, {key, text});
    }
    run("COMMIT");
  }

 private:
  [[noreturn]] void fail(const char* what) { die(what, sqlite3_errmsg(database_)); }
  void run(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
  }
  void prepare(const char* sql, sqlite3_stmt*& statement) {
    if (sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
        SQLITE_OK) {
      fail(sql);
    }
  }
  void step(sqlite3_stmt* statement, std::initializer_list<std::string_view> values) {
    int place = 0;
    for (const std::string_view value : values) {
      sqlite3_bind_text(statement, ++place, value.data(), static_cast<int>(value.size()),
                        SQLITE_STATIC);
    }
    if (sqlite3_step(statement) != SQLITE_DONE) fail("insert");
    sqlite3_reset(statement);
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* set_ = nullptr;
  sqlite3_stmt* append_ = nullptr;
};

int consume(const char* url, const char* subject, const char* queue, std::size_t count,
            const char* path) {
  Store store(path);
  Inbox inbox;
  natsOptions* options = nullptr;
  natsConnection* connection = nullptr;
  natsSubscription* subscription = nullptr;
  check(natsOptions_Create(&options), "options");
  check(natsOptions_SetURL(options, url), "URL");
  check(natsConnection_Connect(&connection, options), "connect");
  check(
      natsConnection_QueueSubscribe(&subscription, connection, subject, queue, on_message, &inbox),
      "subscribe");
  check(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  std::size_t groups = 0;
  for (std::size_t done = 0; done < count; ++groups) {
    const std::vector<Message> group = inbox.take_all();
    store.write(group);
    for (const Message& message : group) {
      check(natsConnection_PublishString(connection, natsMsg_GetReply(message.get()), "+ACK"),
            "ack");
    }
    done += group.size();
  }
  check(natsConnection_Flush(connection), "flush");
  std::printf("{\"stored\": %zu, \"groups\": %zu}\n", count, groups);
  natsConnection_Close(connection);
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(connection);
  natsOptions_Destroy(options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 6) {
    return consume(argv[1], argv[2], argv[3], std::strtoul(argv[4], nullptr, 10), argv[5]);
  }
  std::fprintf(stderr, "usage: bench_storing_consumer URL DELIVER_SUBJECT QUEUE COUNT FILE\n");
  return 2;
}
