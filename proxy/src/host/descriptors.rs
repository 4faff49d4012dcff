//! File descriptors: how many this process may have open, and how many connections that is enough for. Whoever connects
//! and says nothing takes one; if they took all, no call, no probe and no file could be opened any more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Those that connections never get: for people, for the program's probe, for the control plane and for files, and for
/// connections that are kept though nobody uses them.
const RESERVE: u64 = 192;

/// What ten connections may cost: themselves, those that what they ask for goes on by, and one more for a caller who has
/// yet to prove who it is.
const TEN: u64 = 21;

/// With fewer connections than these, nobody is served.
const LEAST: u64 = 16;

/// There are too few of them to start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {most} files may be open at once (ulimit -n), and a sidecar needs {needed}; raise the limit")]
pub struct TooFew {
    most: u64,
    needed: u64,
}

/// How many descriptors there may be. `None`: any number.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    /// In this process.
    pub most: Option<u64>,
    /// What the program is to have. A soft limit is as low as it is for programs that use `select()`, which cannot
    /// handle larger numbers.
    pub given: Rlimit,
}

impl Descriptors {
    /// Takes as many as the system gives.
    pub fn raise() -> Self {
        let given = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: given.maximum, ..given };
        let most = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => given.maximum,
            Err(_) => given.current,
        };
        Self { most, given }
    }

    /// How many connections each of `listeners` may take: `wished`, or as many as there are descriptors for.
    pub fn connections(&self, wished: usize, listeners: u64) -> Result<usize, TooFew> {
        let Some(most) = self.most else { return Ok(wished) };
        let each = most.saturating_sub(RESERVE).saturating_mul(10) / (TEN * listeners);
        if each < LEAST {
            return Err(TooFew { most, needed: RESERVE + (LEAST * TEN * listeners).div_ceil(10) });
        }
        Ok(wished.min(usize::try_from(each).unwrap_or(usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_reserve() {
        let cases = [
            ("as many as there are", None, 2, Ok(10_000)),
            ("as many as are wished", Some(1 << 20), 2, Ok(10_000)),
            ("as many as fit", Some(1_024), 2, Ok(198)),
            ("a program that only calls has one listener", Some(1_024), 1, Ok(396)),
            ("just enough", Some(260), 2, Ok(16)),
            ("too few", Some(259), 2, Err(TooFew { most: 259, needed: 260 })),
            ("hardly any", Some(3), 1, Err(TooFew { most: 3, needed: 226 })),
        ];
        for (sentence, most, listeners, expected) in cases {
            let descriptors = Descriptors { most, given: Rlimit { current: most, maximum: most } };
            assert_eq!(descriptors.connections(10_000, listeners), expected, "{sentence}");
        }
    }
}
