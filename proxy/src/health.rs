//! Whether the program accepts connections: one success says yes, three failures in a row say no.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use crate::proto::Health;

/// How often a program that accepts is asked, and how often one that does not: callers wait for it.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(200));

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many failures in a row it takes to doubt a program that has accepted before.
const FAILURES: u32 = 3;

/// What the answers so far mean.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    failures: u32,
    accepts: bool,
}

impl Answers {
    fn after(self, accepted: bool) -> Self {
        if accepted {
            return Self { failures: 0, accepts: true };
        }
        let failures = self.failures.saturating_add(1);
        Self { failures, accepts: self.accepts && failures < FAILURES }
    }

    fn health(self) -> Health {
        if self.accepts { Health::Healthy } else { Health::Unhealthy }
    }
}

/// Asks `program` for ever, and says in `health` what comes of it.
pub async fn watch_program(program: SocketAddr, health: watch::Sender<Health>) {
    let mut answers = Answers::default();
    loop {
        let accepted = matches!(timeout(PATIENCE, TcpStream::connect(program)).await, Ok(Ok(_)));
        answers = answers.after(accepted);
        health.send_if_modified(|known| std::mem::replace(known, answers.health()) != answers.health());
        sleep(if answers.accepts { EVERY.0 } else { EVERY.1 }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_success_says_yes_and_three_failures_say_no() {
        let cases = [
            ("", false),
            ("-", false),
            ("+", true),
            ("+--", true),
            ("+---", false),
            ("+--+--", true),
            ("+---+", true),
            ("--+", true),
        ];
        for (history, accepts) in cases {
            let answers = history.chars().fold(Answers::default(), |answers, answer| answers.after(answer == '+'));
            assert_eq!(answers.health() == Health::Healthy, accepts, "{history}");
        }
    }
}
