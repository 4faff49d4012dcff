//! How much is held of what nobody reads. What one reader leaves lying must take nothing from the others: a connection of
//! HTTP/2 may have received as much as all of its streams together, so that those that stand still never use it up.

/// How much of a body may have come on one stream and not have been read, in bytes. This over the round trip is how fast
/// one body can come: 250 MB/s at a millisecond, as between machines of one place. More would hardly be faster there, and
/// every response that somebody asks for and does not read costs as much.
pub const STREAM_WINDOW: u32 = 256 << 10;

/// How many requests are sent at once on one connection of HTTP/2; for more there are more connections. This bounds what
/// an endpoint can make us hold for one of them: 32 MiB.
pub const STREAMS: u32 = 128;

/// How much is taken from a body before what was taken earlier is on its way, in bytes.
pub const SEND_BUFFER: usize = 64 << 10;

/// How much of a body of HTTP/1.1 comes at once, at most: what is read ahead on a connection.
pub const LARGEST_PART: u64 = 64 << 10;

/// How large the head of a response may be, in bytes, and of HTTP/1.1 how much is read before it is asked for.
pub const LARGEST_HEAD: u32 = 64 << 10;

/// How much more than their bytes unread parts of bodies may take on one connection of HTTP/2: 256 bytes for each, less its
/// length. Whoever sends more in crumbs that nobody reads is sent away. 16,384 of them.
pub const SMALL_PARTS: usize = 4 << 20;

/// How many lines a head may have. Real programs have hundreds; each takes its room in memory.
pub const HEAD_LINES: usize = 512;

/// How many interim answers (1xx) may come before the answer itself.
pub const MOST_INTERIM: usize = 16;

/// How large the heads of all of them may be together, in bytes.
pub const INTERIM_BYTES: usize = 64 << 10;

/// What may come on a connection that carries so many requests: it is never the connection that says stop.
pub const fn connection_window(streams: u32) -> u32 {
    const LARGEST: u32 = (1 << 31) - 1;
    let sum = streams.saturating_mul(STREAM_WINDOW);
    if sum < LARGEST { sum } else { LARGEST }
}
