//! Lends the terminal to the program. It stands in a process group of its own, to which the terminal does not listen: the
//! system stops it when it reads. Then it gets the terminal, and with it what is typed, Ctrl-C and Ctrl-Z too. Not before:
//! of a program that reads nothing, Ctrl-C is to reach the sidecar, which ends in good order and passes it on.

use std::{
    fs::{File, OpenOptions},
    io::{self, stderr, stdin, stdout},
    mem::MaybeUninit,
    os::fd::AsFd,
    ptr,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_current_process_group, kill_process, waitid},
    termios::{isatty, tcgetpgrp, tcsetpgrp},
};
use tokio::signal::unix::{SignalKind, signal};

/// To whom the terminal listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Us,
    Program,
    /// A shell, most likely, that has put us into the background.
    Others,
}

/// What is done about a program that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It gets the terminal, and goes on.
    Lend,
    /// All of the job stops, so that its shell sees that.
    StopToo,
    /// Nothing: whoever stopped it wants it so.
    Nothing,
}

/// What is done when `signal` has stopped the program.
fn answer(signal: Signal, holder: Holder) -> Answer {
    match (signal, holder) {
        (Signal::TTIN | Signal::TTOU, Holder::Us) => Answer::Lend,
        (Signal::TTIN | Signal::TTOU | Signal::TSTP, _) => Answer::StopToo,
        _ => Answer::Nothing,
    }
}

/// Lends the terminal to `program`, a child that leads a group of its own, until it has ended. Where there is none, this
/// ends when one would be needed.
pub async fn lend(program: Pid) -> io::Result<()> {
    let mut changed = signal(SignalKind::child())?;
    let mut woken = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    // Whether it waits for somebody to wake the job.
    let mut waits = false;
    while !has_ended(program) {
        if let Some(signal) = stopped_by(program) {
            waits = stopped(program, signal)?;
        }
        tokio::select! {
            _ = changed.recv() => {}
            _ = woken.recv() => {
                if std::mem::take(&mut waits) {
                    go_on(program)?;
                }
            }
        }
    }
    Ok(())
}

/// Makes reads and writes at a terminal wait, as programs expect. Node, as which `sluice run` begins, leaves it otherwise.
pub fn make_wait() -> io::Result<()> {
    for stream in [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()] {
        if isatty(stream) {
            fcntl_setfl(stream, fcntl_getfl(stream)? - OFlags::NONBLOCK)?;
        }
    }
    Ok(())
}

/// Takes the terminal back, if the program has it: others may be behind us in a script.
pub fn take_back(program: Pid) {
    // Without a terminal there is none to take back.
    if let Ok(terminal) = terminal()
        && holder(&terminal, program) == Holder::Program
    {
        let _ = give(&terminal, getpgrp());
    }
}

/// Whether it now waits for the job to be woken.
fn stopped(program: Pid, signal: Signal) -> io::Result<bool> {
    let terminal = terminal()?;
    match answer(signal, holder(&terminal, program)) {
        Answer::Nothing => Ok(false),
        Answer::Lend => go_on(program).map(|()| false),
        Answer::StopToo => {
            take_back(program);
            // This is where we stand still, but for a job that nobody could wake: the system stops none of those.
            kill_current_process_group(signal)?;
            // Who reads would only be stopped again, and so on. Whoever was sent away goes on with or without a terminal.
            if signal == Signal::TSTP { go_on(program).map(|()| false) } else { Ok(true) }
        }
    }
}

fn go_on(program: Pid) -> io::Result<()> {
    let terminal = terminal()?;
    if holder(&terminal, program) == Holder::Us {
        give(&terminal, program)?;
    }
    Ok(kill_process(program, Signal::CONT)?)
}

/// The terminal that the session has, wherever stdin comes from. It may be gone at any time, so it is not kept.
fn terminal() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn holder(terminal: &File, program: Pid) -> Holder {
    match tcgetpgrp(terminal) {
        Ok(group) if group == getpgrp() => Holder::Us,
        Ok(group) if group == program => Holder::Program,
        _ => Holder::Others,
    }
}

/// Makes the terminal listen to `group`. Who is in the background may do that only while SIGTTOU is blocked.
fn give(terminal: &File, group: Pid) -> io::Result<()> {
    let (mut blocked, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: both sets are written before they are read, and only the mask of this thread changes.
    #[allow(unsafe_code)]
    unsafe {
        libc::sigemptyset(blocked.as_mut_ptr());
        libc::sigaddset(blocked.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let given = tcsetpgrp(terminal, group);
    // SAFETY: the first call has written what the mask was.
    #[allow(unsafe_code)]
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    Ok(given?)
}

/// What has stopped `program` since it was last asked for, if anything has.
fn stopped_by(program: Pid) -> Option<Signal> {
    let status = waitid(WaitId::Pid(program), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG).ok()??;
    let signal = status.stopping_signal()?;
    [Signal::TTIN, Signal::TTOU, Signal::TSTP].into_iter().find(|known| known.as_raw() == signal)
}

/// Whether `program` is no more. Only then may its number be that of another.
fn has_ended(program: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(program), options), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_gets_the_terminal_and_who_is_sent_away_takes_the_job_along() {
        let cases = [
            ("it reads, and we can let it", Signal::TTIN, Holder::Us, Answer::Lend),
            ("it sets the terminal up", Signal::TTOU, Holder::Us, Answer::Lend),
            ("it reads, but the job is in the background", Signal::TTIN, Holder::Others, Answer::StopToo),
            ("Ctrl-Z, when it has the terminal", Signal::TSTP, Holder::Program, Answer::StopToo),
            ("it sends itself away", Signal::TSTP, Holder::Us, Answer::StopToo),
            ("somebody looks into it", Signal::STOP, Holder::Program, Answer::Nothing),
        ];
        for (sentence, signal, holder, expected) in cases {
            assert_eq!(answer(signal, holder), expected, "{sentence}");
        }
    }
}
