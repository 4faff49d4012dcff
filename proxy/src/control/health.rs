//! Whether the program does its work, port by port: one success says yes, three failures in a row say no. It is asked whether it accepts
//! connections; but the system does that for a program that is frozen, too. So when real calls wait and nothing comes back,
//! it is asked for an answer, whatever that is.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use tracing::{info, warn};

use crate::{
    base::published::Published,
    control::proto::Health,
    host::{
        calls::Calls,
        program::{Exposed, Program, open_to_others, places, refusal},
        sockets,
    },
};

/// How many failures in a row it takes to doubt a program that has accepted before.
const FAILURES: u32 = 3;

/// How many failures it takes to say that a program is not found that is perhaps still starting.
const SLOW_START: u32 = 25;

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
}

/// What is looked for, and where it is told when it is found.
#[derive(Clone, Debug)]
pub struct Sought {
    /// Its port.
    pub port: u16,
    /// What is done if others than this machine reach it.
    pub exposed: Exposed,
    /// What is known of it.
    pub program: Arc<Published<Program>>,
}

impl Sought {
    /// Nothing is known of it yet.
    pub fn new(port: u16, exposed: Exposed) -> Self {
        Self { port, exposed, program: Arc::new(Published::new(Program::at(port))) }
    }
}

/// How the program fares at each of its ports, and what that comes to: it does its work when it does so at all of them.
#[derive(Clone, Debug)]
pub struct Fitness {
    well: Arc<[AtomicBool]>,
    whole: watch::Sender<Health>,
}

impl Fitness {
    /// Of a program with so many ports, told in `whole`.
    pub fn of(ports: usize, whole: watch::Sender<Health>) -> Self {
        Self { well: (0..ports).map(|_| AtomicBool::new(false)).collect(), whole }
    }

    /// Takes in how it fares at the port in `place`.
    fn note(&self, place: usize, is_well: bool) {
        self.well[place].store(is_well, Ordering::Relaxed);
        // Whoever is the last to have the sender sees what the others have noted before.
        self.whole.send_if_modified(|known| {
            let all = self.well.iter().all(|well| well.load(Ordering::Relaxed));
            let health = if all { Health::Healthy } else { Health::Unhealthy };
            std::mem::replace(known, health) != health
        });
    }
}

/// Looks for the program at its port in `place` and asks it for ever, and says in `fitness` what comes of it. What is wrong with it is logged when
/// that changes.
pub async fn watch_program(sought: Sought, asks: Asks, calls: Calls, fitness: Fitness, place: usize) {
    let mut answers = Answers::default();
    loop {
        let owes = answers.owes || calls.silent_for() >= asks.suspicious;
        let (known, before) = (sought.program.now(), answers);
        let found = find(&known, sought.port, asks.patience, owes).await;
        let next = look(&known, &sought, found);
        let well = next.fault.is_none();
        if well && owes {
            // It only takes its time.
            calls.sign_of_life();
        }
        answers = answers.after(well, owes);
        if let Some(fault) = &next.fault
            && (answers.failures == SLOW_START || before.accepts && !answers.accepts)
        {
            warn!(fault, "the program is not called");
        }
        // One failure says nothing yet of a program that has accepted before.
        if next != *known && (well || !answers.accepts) {
            say(&next, &known);
            sought.program.swap(Arc::new(next));
        }
        fitness.note(place, answers.accepts);
        sleep(if answers.accepts { asks.every.0 } else { asks.every.1 }).await;
    }
}

/// What is known of the program after it was found there, or was not.
fn look(known: &Program, sought: &Sought, found: Result<SocketAddr, String>) -> Program {
    match found {
        Ok(address) if known.fault.is_none() && known.address == address => known.clone(),
        Ok(address) => {
            let all = sockets::listening().unwrap_or_default();
            let open_at = open_to_others(&all, sought.port);
            let fault = refusal(&open_at, sought.exposed);
            Program { address, refused: fault.is_some(), fault, open_at }
        }
        Err(why) => Program { fault: Some(why), refused: false, ..known.clone() },
    }
}

/// Where the program answers: where it was, if it still does. Otherwise, why not.
async fn find(known: &Program, port: u16, patience: Duration, for_an_answer: bool) -> Result<SocketAddr, String> {
    let mut reasons = Vec::new();
    let others = places(port).into_iter().filter(|place| *place != known.address);
    for place in std::iter::once(known.address).chain(others) {
        match timeout(patience, ask(place, for_an_answer)).await {
            Ok(Ok(())) => return Ok(place),
            Ok(Err(error)) => reasons.push(format!("{place} ({})", error.kind())),
            Err(_) => reasons.push(format!("{place} (nothing came)")),
        }
    }
    Err(format!("it does not answer on {}", reasons.join(" or ")))
}

fn say(next: &Program, known: &Program) {
    let Program { address, fault, open_at, .. } = next;
    if fault.is_none() {
        info!(%address, "the program is found");
    }
    if !open_at.is_empty() && *open_at != known.open_at {
        warn!(?open_at, "the program can be called past its sidecar; let it listen on 127.0.0.1 alone");
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
            assert_eq!(answers.accepts, accepts, "{history}");
        }
    }

    #[test]
    fn a_program_does_its_work_when_it_does_so_at_all_of_its_ports() {
        let (whole, told) = watch::channel(Health::Unhealthy);
        let fitness = Fitness::of(2, whole);
        for (place, well, expected) in [
            (0, true, Health::Unhealthy),
            (1, true, Health::Healthy),
            (1, true, Health::Healthy),
            (0, false, Health::Unhealthy),
            (1, false, Health::Unhealthy),
            (0, true, Health::Unhealthy),
            (1, true, Health::Healthy),
        ] {
            fitness.note(place, well);
            assert_eq!(*told.borrow(), expected, "port {place} is well: {well}");
        }
    }
}
