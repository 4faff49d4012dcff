//! How this sidecar ends: callers first learn that nothing new is wanted, then the program learns that it is over.

use std::time::Duration;

/// How long no caller must have wanted anything before the program is told.
const QUIET: Duration = Duration::from_millis(500);

/// Whether the program may be told to end: callers have found other places, or have had half of the time to.
pub fn callers_are_gone(draining_for: Duration, quiet_for: Duration, drain_timeout: Duration) -> bool {
    // Quiet from before does not count: callers do not know yet.
    quiet_for.min(draining_for) >= QUIET || draining_for >= drain_timeout / 2
}

/// How long what was answered last may take to leave our buffers. When a body has been read to its end, its end is still in
/// there, for a caller who reads slowly.
const DELIVERY: Duration = Duration::from_secs(1);

/// Whether nothing is lost if this process ends now: nothing is in flight, and callers have what they were answered, for
/// they are gone or have had the time. `quiet_for`: how long ago the last request came to its end.
pub fn is_delivered(in_flight: usize, callers: usize, quiet_for: Duration) -> bool {
    in_flight == 0 && (callers == 0 || quiet_for >= DELIVERY)
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

    #[test]
    fn nothing_is_lost_once_callers_have_what_they_were_answered() {
        let cases = [
            ("somebody waits for an answer", 1, 1, 0, false),
            ("the program itself does", 1, 0, 60_000, false),
            ("the last answer may still be on its way", 0, 1, 999, false),
            ("it has had the time", 0, 1, 1_000, true),
            ("its caller has hung up", 0, 0, 0, true),
        ];
        for (sentence, in_flight, callers, quiet_for, delivered) in cases {
            assert_eq!(is_delivered(in_flight, callers, Duration::from_millis(quiet_for)), delivered, "{sentence}");
        }
    }
}
