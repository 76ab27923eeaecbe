#include "integrations/twitch/tokens.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

namespace fs = std::filesystem;

class TokenFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "state-engine-tokens-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = (directory_ / "t.json").string();
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(std::string_view text) const { std::ofstream(path_) << text; }
  json::Object stored() const {
    std::ifstream file(path_);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    return json::parse(text)->as_object();
  }

  fs::path directory_;
  std::string path_;
  Timestamp now_ = timestamp_from_ms(1'760'000'000'000);
};

TEST_F(TokenFileTest, ARefreshIsWrittenForTheOwnerOnlyAndKeepsTheRest) {
  write(
      R"({"clientId":"c","clientSecret":"s","accessToken":"a","refreshToken":"r","note":"mine"})");
  auto file = TokenFile::load(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(file->stale(now_)) << "without a date the token is tried";
  const json::Object answer{{"access_token", "a2"},
                            {"refresh_token", "r2"},
                            {"expires_in", 3600},
                            {"scope", json::Array{"bits:read"}}};
  ASSERT_TRUE(file->store_refreshed(answer, now_).ok());
  EXPECT_EQ(file->tokens().access_token, "a2");
  EXPECT_TRUE(file->tokens().has_scope("bits:read"));
  EXPECT_FALSE(file->stale(now_ + std::chrono::minutes{58}));
  EXPECT_TRUE(file->stale(now_ + std::chrono::minutes{59}));
  EXPECT_EQ(json::write(stored()),
            R"({"clientId":"c","clientSecret":"s","accessToken":"a2","refreshToken":"r2",)"
            R"("note":"mine","expiresAt":"2025-10-09T09:53:20.000Z","scopes":["bits:read"]})");
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "no draft is left";
}

TEST_F(TokenFileTest, AnAnswerWithoutARefreshTokenKeepsTheOldOne) {
  write(R"({"clientId":"c","refreshToken":"r"})");
  auto file = TokenFile::load(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->stale(now_));
  ASSERT_TRUE(file->store_refreshed({{"access_token", "a2"}}, now_).ok());
  EXPECT_EQ(stored().at("refreshToken"), json::Value("r"));
}

TEST_F(TokenFileTest, AnAnswerWithoutATokenChangesNothing) {
  write(R"({"clientId":"c","refreshToken":"r"})");
  auto file = TokenFile::load(path_);
  for (const json::Object& answer : {json::Object{}, json::Object{{"access_token", ""}},
                                     json::Object{{"access_token", "a\r\nb"}}}) {
    EXPECT_FALSE(file->store_refreshed(answer, now_).ok());
  }
  EXPECT_EQ(stored().size(), 2u);
}

TEST_F(TokenFileTest, FaultyFilesAreNamedWithoutTheirSecrets) {
  for (const char* text :
       {"", "[]", "{}", R"({"clientId":"c"})", R"({"clientId":"c","accessToken":"sec ret"})",
        R"({"clientId":"c","accessToken":7,"refreshToken":"secret"})",
        R"({"clientId":"c","accessToken":"secret","expiresAt":"soon"})"}) {
    write(text);
    const auto file = TokenFile::load(path_);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_NE(file.error().message.find(path_), std::string::npos);
    EXPECT_EQ(file.error().message.find("secret"), std::string::npos) << file.error().message;
  }
  const auto absent = TokenFile::load(path_ + ".absent");
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
}

TEST_F(TokenFileTest, FormsEncodeWhatTheyCarry) {
  Tokens tokens;
  tokens.client_id = "c";
  tokens.client_secret = "s&t=u";
  tokens.refresh_token = "r+1";
  EXPECT_EQ(refresh_form(tokens),
            "grant_type=refresh_token&refresh_token=r%2B1&client_id=c&client_secret=s%26t%3Du");
  EXPECT_EQ(app_token_form(tokens),
            "grant_type=client_credentials&client_id=c&client_secret=s%26t%3Du");
}

}  // namespace
}  // namespace state_engine::twitch
