//! Programs: batches of MCP calls, watchers without a key, forged resume tokens.
