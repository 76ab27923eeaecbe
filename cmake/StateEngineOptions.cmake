# Compiler settings that every target of this project shares, and the packages it stands on.
option(SE_SANITIZE_ADDRESS "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(SE_FUZZ "Build the fuzzers with libFuzzer; needs clang (preset fuzz)" OFF)
option(SE_SANITIZE_THREAD "Build with ThreadSanitizer" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

find_program(SE_CCACHE ccache)
if(SE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${SE_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${SE_CCACHE}")
endif()
find_program(SE_MOLD mold)
if(SE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(GTest REQUIRED)
include(GoogleTest)

add_library(se_flags INTERFACE)
target_compile_options(se_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these inside libstdc++ and Boost when it inlines.
  target_compile_options(se_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict
    -Wno-stringop-overflow -Wno-array-bounds -Wno-dangling-pointer -Wno-free-nonheap-object)
endif()

if(SE_FUZZ)
  # Warnings are a matter of the compiler that releases are built with.
  target_compile_options(se_flags INTERFACE -Wno-error)
endif()

add_library(se_hardening INTERFACE)
if(SE_FUZZ)
  target_compile_options(se_hardening INTERFACE -fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS)
  target_link_options(se_hardening INTERFACE -fsanitize=address,undefined)
elseif(SE_SANITIZE_ADDRESS)
  target_compile_options(se_hardening INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS)
  target_link_options(se_hardening INTERFACE -fsanitize=address,undefined)
elseif(SE_SANITIZE_THREAD)
  # -Wno-tsan: g++ says that it does not model the fences that Asio uses.
  target_compile_options(se_hardening INTERFACE -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
  target_link_options(se_hardening INTERFACE -fsanitize=thread)
else()
  target_compile_options(se_hardening INTERFACE -fstack-protector-strong -fstack-clash-protection
    -fcf-protection -D_GLIBCXX_ASSERTIONS)
  target_link_options(se_hardening INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
  if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(se_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

# Asio is compiled once, not in every file that includes it; all its users must agree on that, so
# they all link this target.
add_library(se_asio STATIC "${CMAKE_SOURCE_DIR}/cmake/boost/asio.cc")
# A request is a chain of coroutines: each thread keeps so many freed frames, not Asio's 2.
target_compile_definitions(se_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=16)
target_link_libraries(se_asio PUBLIC Boost::headers Threads::Threads se_hardening)
# g++ 12 does not pair the operator new and delete of Asio's coroutine frames when it inlines them.
target_compile_options(se_asio PUBLIC -Wno-mismatched-new-delete)
