//! What the link in a mail allows, and what remains after a deletion.
