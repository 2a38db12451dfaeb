//! Forged client addresses, names of internal hosts, redirects into private networks.
