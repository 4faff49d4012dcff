//! Whether the program does its work: one success says yes, three failures in a row say no. It is asked whether it accepts
//! connections; but the system does that for a program that is frozen, too. So when real calls wait and nothing comes back,
//! it is asked for an answer, whatever that is.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use crate::{calls::Calls, proto::Health};

/// How many failures in a row it takes to doubt a program that has accepted before.
const FAILURES: u32 = 3;

/// What every program that speaks any HTTP says something to, if it is only that it does not understand (RFC 9110 §9.3.7).
const QUESTION: &[u8] =
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nUser-Agent: sluice-proxy\r\nConnection: close\r\n\r\n";

/// How a program is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// How often one that does its work is, and how often one that does not: callers wait for it.
    pub every: (Duration, Duration),
    /// How long an answer may take.
    pub patience: Duration,
    /// After how much silence, while calls wait, it has to say something.
    pub suspicious: Duration,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            every: (Duration::from_secs(1), Duration::from_millis(200)),
            patience: Duration::from_secs(1),
            suspicious: Duration::from_secs(5),
        }
    }
}

/// What the answers so far mean.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    failures: u32,
    accepts: bool,
    /// Whether it owes an answer: calls waited in vain, and it has said nothing since, whoever still waits.
    owes: bool,
}

impl Answers {
    fn after(self, well: bool, owes: bool) -> Self {
        if well {
            return Self { failures: 0, accepts: true, owes: false };
        }
        let failures = self.failures.saturating_add(1);
        Self { failures, accepts: self.accepts && failures < FAILURES, owes }
    }

    fn health(self) -> Health {
        if self.accepts { Health::Healthy } else { Health::Unhealthy }
    }
}

/// Asks `program` for ever, and says in `health` what comes of it.
pub async fn watch_program(program: SocketAddr, asks: Asks, calls: Calls, health: watch::Sender<Health>) {
    let mut answers = Answers::default();
    loop {
        let owes = answers.owes || calls.silent_for() >= asks.suspicious;
        let well = matches!(timeout(asks.patience, ask(program, owes)).await, Ok(Ok(())));
        if well && owes {
            // It only takes its time.
            calls.sign_of_life();
        }
        answers = answers.after(well, owes);
        health.send_if_modified(|known| std::mem::replace(known, answers.health()) != answers.health());
        sleep(if answers.accepts { asks.every.0 } else { asks.every.1 }).await;
    }
}

async fn ask(program: SocketAddr, for_an_answer: bool) -> io::Result<()> {
    let mut stream = TcpStream::connect(program).await?;
    if !for_an_answer {
        return Ok(());
    }
    stream.write_all(QUESTION).await?;
    match stream.read(&mut [0]).await {
        // Bytes, an end or a reset: somebody did that.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
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
            let after = |answers: Answers, answer| answers.after(answer == '+', false);
            let answers = history.chars().fold(Answers::default(), after);
            assert_eq!(answers.health() == Health::Healthy, accepts, "{history}");
        }
    }
}
