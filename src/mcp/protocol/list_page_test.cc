#include "mcp/protocol/list_page.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "mcp/protocol/message.h"
#include "mcp/protocol/server.h"

namespace state_engine::mcp {
namespace {

std::optional<ListPage> page(std::size_t size, json::Value cursor) {
  json::Object params;
  if (!cursor.is_null()) params["cursor"] = std::move(cursor);
  return page_of("tools", size, 10, params);
}

TEST(ListPageTest, CursorsLeadThroughTheWholeList) {
  std::size_t seen = 0;
  json::Value cursor;
  for (int pages = 0; pages < 3; ++pages) {
    const auto next = page(25, cursor);
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->begin, seen);
    seen = next->end;
    cursor = json::Value(next->next_cursor);
  }
  EXPECT_EQ(seen, 25U);
  EXPECT_EQ(cursor, json::Value(""));
}

TEST(ListPageTest, ExactlyFullAndEmptyListsHaveOnePage) {
  EXPECT_EQ(page(10, {})->next_cursor, "");
  EXPECT_EQ(page(0, {})->end, 0U);
  EXPECT_EQ(page(25, "")->begin, 0U);
}

TEST(ListPageTest, CursorsThatWereNeverGivenOutAreRefused) {
  for (const json::Value& cursor :
       {json::Value("x"), json::Value(7), json::Value(json::Object{}), json::Value("tools-"),
        json::Value("tools-0"), json::Value("tools-5"), json::Value("tools-30"),
        json::Value("tools-10x"), json::Value("tools--10"), json::Value("prompts-10"),
        json::Value("tools-99999999999999999999")}) {
    EXPECT_FALSE(page(25, cursor).has_value()) << json::write(cursor);
  }
}

TEST(ListPageTest, ToolsArePagedInTheirOrderInBothEras) {
  boost::asio::io_context loop;
  NullLog log;
  ServerOptions options;
  options.list_page_max = 3;
  Server server(loop.get_executor(), options, log);
  for (int i = 0; i < 7; ++i) {
    ToolDefinition tool;
    tool.name = "tool" + std::to_string(i);
    tool.description = "One of many.";
    tool.input_schema = json::Object{{"type", "object"}};
    tool.handler = [](json::Object, RequestContext&) -> boost::asio::awaitable<Result<ToolResult>> {
      co_return ToolResult::object({});
    };
    server.add_tool(std::move(tool));
  }
  for (const Era era : {Era::kLegacy, Era::kModern}) {
    std::vector<std::string> names;
    std::string cursor;
    do {
      Message message;
      message.id = "1";
      message.method = "tools/list";
      if (!cursor.empty()) message.params["cursor"] = cursor;
      RequestContext context;
      context.era = era;
      context.executor = loop.get_executor();
      Reply reply;
      auto handle = [&]() -> boost::asio::awaitable<void> {
        reply = co_await server.handle(message, context);
      };
      auto done = boost::asio::co_spawn(loop, handle, boost::asio::use_future);
      loop.restart();
      loop.run();
      done.get();
      const auto value = json::parse(reply.text);
      ASSERT_TRUE(value.ok());
      const json::Object& result = value->get_object().at("result").get_object();
      for (const json::Value& tool : result.at("tools").get_array()) {
        names.emplace_back(tool.get_object().at("name").get_string());
      }
      cursor = json::find_string(result, "nextCursor").value_or("");
    } while (!cursor.empty() && names.size() < 20);
    EXPECT_EQ(names, (std::vector<std::string>{"tool0", "tool1", "tool2", "tool3", "tool4", "tool5",
                                               "tool6"}));
  }
}

}  // namespace
}  // namespace state_engine::mcp
