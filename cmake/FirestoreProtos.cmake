# Firestore's interface definitions become C++ in the build tree: one library, se_firestore_proto.
#
# The definitions come from the npm package that cmake/firestore_protos/package.json pins; they are
# not copied into this repository. Only what the Firestore service needs is generated.
set(SE_FIRESTORE_PROTO_ROOT
    "${CMAKE_SOURCE_DIR}/cmake/firestore_protos/node_modules/google-proto-files"
    CACHE PATH "Where google/firestore/v1/firestore.proto is found")
if(NOT EXISTS "${SE_FIRESTORE_PROTO_ROOT}/google/firestore/v1/firestore.proto")
  message(FATAL_ERROR
    "Firestore's interface definitions are not installed (looked in ${SE_FIRESTORE_PROTO_ROOT}).\n"
    "Run: ./dev deps build\n"
    "or, by hand: npm ci --ignore-scripts --prefix cmake/firestore_protos")
endif()
find_package(gRPC REQUIRED)

set(fs_out "${CMAKE_BINARY_DIR}/generated_firestore")
set(fs_protos
  google/api/annotations google/api/client google/api/field_behavior google/api/http
  google/api/launch_stage google/api/routing google/rpc/status google/type/latlng
  google/firestore/v1/aggregation_result google/firestore/v1/bloom_filter
  google/firestore/v1/common google/firestore/v1/document google/firestore/v1/explain_stats
  google/firestore/v1/firestore google/firestore/v1/pipeline google/firestore/v1/query
  google/firestore/v1/query_profile google/firestore/v1/write)
set(fs_generated)
set(fs_inputs)
foreach(stem IN LISTS fs_protos)
  list(APPEND fs_generated "${fs_out}/${stem}.pb.cc" "${fs_out}/${stem}.pb.h")
  list(APPEND fs_inputs "${SE_FIRESTORE_PROTO_ROOT}/${stem}.proto")
endforeach()
set(fs_service "${fs_out}/google/firestore/v1/firestore.grpc.pb.cc"
  "${fs_out}/google/firestore/v1/firestore.grpc.pb.h")
file(MAKE_DIRECTORY "${fs_out}")
add_custom_command(
  OUTPUT ${fs_generated}
  COMMAND protobuf::protoc "-I${SE_FIRESTORE_PROTO_ROOT}" "--cpp_out=${fs_out}" ${fs_inputs}
  DEPENDS ${fs_inputs}
  COMMENT "Generating C++ from Firestore's messages"
  VERBATIM)
add_custom_command(
  OUTPUT ${fs_service}
  COMMAND protobuf::protoc "-I${SE_FIRESTORE_PROTO_ROOT}" "--grpc_out=${fs_out}"
          "--plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>"
          "${SE_FIRESTORE_PROTO_ROOT}/google/firestore/v1/firestore.proto"
  DEPENDS ${fs_inputs}
  COMMENT "Generating C++ from Firestore's service"
  VERBATIM)
# Generated code is not held to our warnings, and the sanitizers find nothing in it but time.
add_library(se_firestore_proto STATIC ${fs_generated} ${fs_service})
target_include_directories(se_firestore_proto SYSTEM PUBLIC "${fs_out}")
target_compile_options(se_firestore_proto PRIVATE -w)
target_link_libraries(se_firestore_proto PUBLIC gRPC::grpc++ protobuf::libprotobuf)
