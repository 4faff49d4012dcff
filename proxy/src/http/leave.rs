//! Leave to send a body (`Expect: 100-continue`, RFC 9110 §10.1.1): the program gives it, not we. Until then nothing of
//! the body is asked for, or the caller would be told to send what nobody wants.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::message;

/// How long an answer is waited for: some programs know nothing of leave, and wait for the body. As long as curl waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Gives or refuses leave.
#[derive(Clone, Debug)]
pub struct Leave(watch::Sender<State>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Given,
    /// The answer has come without it; whoever waits, waits until that is over.
    Answered,
    Refused,
}

impl Leave {
    /// Leave that is waited for.
    pub fn new() -> (Self, message::Leave) {
        let (sender, mut receiver) = watch::channel(State::Waiting);
        let end = Instant::now() + PATIENCE;
        let waiting = async move {
            loop {
                let state = *receiver.borrow_and_update();
                match state {
                    State::Given => return true,
                    State::Refused => return false,
                    State::Answered => {
                        if receiver.changed().await.is_err() {
                            return false;
                        }
                    }
                    State::Waiting => {
                        tokio::select! {
                            changed = receiver.changed() => if changed.is_err() { return false },
                            () = sleep_until(end) => return true,
                        }
                    }
                }
            }
        };
        (Self(sender), Box::pin(waiting))
    }

    /// The body is wanted.
    pub fn give(&self) {
        self.0.send_if_modified(|state| step(state, State::Given));
    }

    /// The answer is there, and nobody wanted the body for it. When what this gives is dropped, the answer is over.
    pub fn answered(&self) -> Refusal {
        self.0.send_if_modified(|state| step(state, State::Answered));
        Refusal(self.clone())
    }
}

/// Refuses leave when it is dropped, unless it was given.
#[derive(Debug)]
pub struct Refusal(Leave);

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|state| step(state, State::Refused));
    }
}

/// What was given stays so.
fn step(state: &mut State, next: State) -> bool {
    let moves = *state != State::Given;
    if moves {
        *state = next;
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leave_is_given_or_refused_or_taken_after_a_while() {
        let (leave, waiting) = Leave::new();
        leave.give();
        drop(leave.answered());
        assert!(waiting.await, "given, and nothing takes it back");

        let (leave, waiting) = Leave::new();
        drop(leave.answered());
        assert!(!waiting.await, "the answer came and went");

        let began = Instant::now();
        let (_leave, waiting) = Leave::new();
        assert!(waiting.await);
        assert_eq!(began.elapsed(), PATIENCE);

        let (leave, waiting) = Leave::new();
        let answer = leave.answered();
        let waits = tokio::spawn(waiting);
        tokio::time::advance(10 * PATIENCE).await;
        assert!(!waits.is_finished(), "as long as the answer lasts");
        drop(answer);
        assert!(!waits.await.unwrap());
    }
}
