import Testing

/// The built programs, driven as a user would. One test at a time: each starts a whole fleet.
@Suite(.serialized) enum EndToEnd {}
