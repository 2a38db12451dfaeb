//! Full streams: what strangers write never crowds out what subscribers need.
