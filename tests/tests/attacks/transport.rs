//! gRPC without TLS, without a key, with a key of another scope; secrets in logs.
