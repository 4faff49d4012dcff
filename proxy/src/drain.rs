//! How this sidecar ends: callers first learn that nothing new is wanted, then the program learns that it is over.

use std::time::Duration;

/// How long no caller must have wanted anything before the program is told.
const QUIET: Duration = Duration::from_millis(500);

/// Whether the program may be told to end: callers have found other places, or have had half of the time to.
pub fn callers_are_gone(draining_for: Duration, quiet_for: Duration, drain_timeout: Duration) -> bool {
    // Quiet from before does not count: callers do not know yet.
    quiet_for.min(draining_for) >= QUIET || draining_for >= drain_timeout / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_ends_when_callers_are_gone_or_half_the_time_is() {
        let cases = [
            ("it has been quiet all along, but only just began", 0, 60_000, false),
            ("it was quiet for long enough", 500, 60_000, true),
            ("somebody came in between", 5_000, 300, false),
            ("somebody is still there", 14_999, 0, false),
            ("somebody is still there after half the time", 15_000, 0, true),
        ];
        for (sentence, draining_for, quiet_for, gone) in cases {
            let [draining_for, quiet_for] = [draining_for, quiet_for].map(Duration::from_millis);
            assert_eq!(callers_are_gone(draining_for, quiet_for, Duration::from_secs(30)), gone, "{sentence}");
        }
    }
}
