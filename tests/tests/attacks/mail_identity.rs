//! Forged senders and unsigned mail.
