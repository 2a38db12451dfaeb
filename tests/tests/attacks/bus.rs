//! The message bus: no password, wrong password, and a service that reaches for what is not its own.
